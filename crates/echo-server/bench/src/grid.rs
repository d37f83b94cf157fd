//! Servers in turns over cells: `server` and `scale`.

use std::time::Instant;

use crate::{
    args::GridArgs,
    cell::Cell,
    contender::{Contender, Field},
    loader::{Loader, Times, measure},
    report::{Entry, Run},
    server, turns,
};

/// Messages of this size are so few in a second that measuring takes longer.
const LARGE: usize = 8 << 20;
const LONGER: u32 = 3;

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
    // What else the rig has to do is done beside the load.
    server::prepare()?;
    let times = args.effort.times(USUAL);
    let mut run = Run::begin(task, times, &field, &left_out, args)?;
    let client = Loader::client(&args.who.client, &[]);
    let begin = Instant::now();
    for (at, &cell) in cells.iter().enumerate() {
        let able = chosen.iter().filter(|contender| cell.connections <= contender.max_connections);
        let able: Vec<&Contender> = able.copied().collect();
        let longer = if cell.bytes >= LARGE { LONGER } else { 1 };
        let times = Times { measure: times.measure * longer, ..times };
        let rounds = args.effort.rounds(begin, cells.len() - at);
        let all = turns::in_turns(able.len(), rounds, |i| measure(able[i], &client, cell, times));
        let entries = able.into_iter().zip(all);
        run.cell(cell, entries.map(|(contender, series)| Entry { contender, series }).collect())?;
    }
    run.end()
}
