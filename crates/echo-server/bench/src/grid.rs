//! Servers in turns over cells: `server` and `scale`.

use std::time::{Duration, Instant};

use crate::{
    args::GridArgs,
    cell::Cell,
    contender::{Contender, Field},
    loader::{Loader, Times, measure},
    report::{Entry, Run},
    server, turns,
};

/// Messages of this size, and on each of so many connections, are so few in a second that measuring
/// takes longer.
const LARGE: usize = 8 << 20;
const MANY: usize = 5000;
const LONGER: u32 = 3;

/// What each connection adds to the warm-up, so that all of them have had their turn.
const FIRST_TURN: Duration = Duration::from_micros(50);

/// How long one measurement takes, in seconds.
const USUAL: f64 = 0.6;

/// Measures the cells, with those who take part unless somebody is asked for by name; true when
/// nobody failed.
pub(crate) fn run(
    task: &'static str,
    args: &GridArgs,
    cells: &[Cell],
    takes_part: impl Fn(&Contender) -> bool,
) -> anyhow::Result<bool> {
    let field = Field::gather(&args.who)?;
    let is_chosen = |contender: &&Contender| {
        args.who.includes(contender) && (!args.who.is_anyone() || takes_part(contender))
    };
    let (chosen, left_out): (Vec<&Contender>, Vec<&Contender>) =
        field.present.iter().partition(is_chosen);
    let absent = field.absent.iter().filter(|(contender, _)| is_chosen(&contender)).collect();
    // What else the rig has to do is done beside the load.
    server::prepare()?;
    let times = args.effort.times(USUAL);
    let mut run = Run::begin(task, times, absent, &left_out, args)?;
    let client = Loader::client(&args.who.client, &[]);
    let begin = Instant::now();
    for (at, &cell) in cells.iter().enumerate() {
        let (able, unable): (Vec<&Contender>, Vec<&Contender>) =
            chosen.iter().partition(|contender| cell.connections <= contender.max_connections);
        let longer = if cell.bytes >= LARGE || cell.connections >= MANY { LONGER } else { 1 };
        let warm_up = times.warm_up + FIRST_TURN * cell.connections as u32;
        let times = Times { warm_up, measure: times.measure * longer };
        let rounds = args.effort.rounds(begin, cells.len() - at);
        let all = turns::in_turns(able.len(), rounds, |i| measure(able[i], &client, cell, times));
        let entries = able.into_iter().zip(all);
        let entries = entries.map(|(contender, series)| Entry { contender, series });
        run.cell(cell, entries.collect(), &unable)?;
    }
    run.end()
}
