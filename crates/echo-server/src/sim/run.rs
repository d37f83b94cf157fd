//! One run: a world and an engine from one seed, until every connection has ended.
//!
//! ```text
//! chaos: at each step one of those who can do something does it; faults strike
//! calm:  no faults any more, every peer reads and ends; so everything has to end
//! ```

use std::{cell::RefCell, rc::Rc, time::Duration};

use echo_core::EchoLimits;

use super::{
    client::Client,
    engine::Engine,
    epoll::Epoll,
    faults::{Counts, Fault, Faults},
    link::{Link, PEER, SERVER},
    model::Model,
    oracle::{Status, Watch},
    rng::Rng,
    script::{Frames, Script},
    uring::Uring,
    world::{End, Shared, Trace, What, World},
};

/// Steps until everything has to be over, once it is calm.
const CALM_STEPS: usize = 20_000;

/// Turns in a row that may have no effect.
const BARREN_TURNS: usize = 8;

/// System calls of a turn that may have no effect, for each connection.
const BARREN_CALLS: usize = 6;

/// What one run has come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) hash: u64,
    pub(super) faults: Counts,
}

/// Runs one seed. Panics when something does not hold.
pub(super) fn run(seed: u64, prints: bool) -> Outcome {
    let mut rng = Rng::new(seed);
    let faults = Faults::choose(&mut rng);
    let frames = Frames::choose(&mut rng);
    let timeout = |rng: &mut Rng| match rng.below(4) {
        0 => None,
        _ => Some(Duration::from_millis(rng.between(50, 3000) as u64)),
    };
    let limits = EchoLimits {
        high_water: rng.pick(&[8, 50, 100, 256]),
        idle_timeout: timeout(&mut rng),
        stall_timeout: timeout(&mut rng),
        drain_timeout: Duration::from_millis(rng.between(150, 2000) as u64),
    };
    let layer = rng.below(10);
    let world = World {
        now: Duration::from_millis(rng.below(10_000) as u64),
        rng,
        faults,
        links: Vec::new(),
        trace: Trace { hash: seed, prints },
        calls: 0,
        effects: 0,
        calm: false,
    };
    if prints {
        println!("seed {seed}: layer {layer}, {}, {limits:?}", frames.name);
    }
    let world = Rc::new(RefCell::new(world));
    let slots = world.borrow_mut().rng.between(1, 3);
    let model = || Box::new(Model::new(&world, &frames.codec, limits, slots));
    let mut run = match layer {
        0 => Run::pair([model(), model()], &world, &frames, limits.high_water),
        1 => Run::serve(model(), &world, &frames, slots),
        2..=5 => {
            let epoll = Epoll::new(&world, &frames, limits, slots);
            Run::serve(Box::new(epoll), &world, &frames, slots)
        }
        _ => {
            let uring = Uring::new(&world, &frames, limits, slots);
            Run::serve(Box::new(uring), &world, &frames, slots)
        }
    };
    run.run_out(limits);
    drop(run);
    let world = world.borrow();
    Outcome { hash: world.trace.hash, faults: world.faults.counts }
}

struct Run<'a> {
    world: Shared,
    frames: &'a Frames,
    /// One, at the near end of all connections; or two, one at each end of the only one.
    engines: Vec<Box<dyn Engine + 'a>>,
    /// By connection and side.
    watches: Vec<[Option<Watch>; 2]>,
    /// Connections that are still to be made, and those not accepted yet.
    to_come: usize,
    backlog: Vec<End>,
    /// When the service ends; which of them.
    drains_at: usize,
    drains: usize,
    drain_begun: Option<Duration>,
    calm_at: usize,
    step: usize,
    /// How much time a step may take.
    creep: Duration,
    barren: usize,
    /// Memory for what is asked at every step.
    statuses: Vec<(usize, Status)>,
    actors: Vec<Actor>,
}

/// Who can do something.
#[derive(Clone, Copy)]
enum Actor {
    Engine(usize),
    Spurious(usize),
    Client(usize),
    Network(usize),
    Arrival,
    Accept,
}

impl<'a> Run<'a> {
    /// A service and its peers.
    fn serve(
        engine: Box<dyn Engine + 'a>,
        world: &Shared,
        frames: &'a Frames,
        slots: usize,
    ) -> Self {
        let mut run = Self::new(vec![engine], world, frames);
        let world = &mut *world.borrow_mut();
        let churns = world.strikes(Fault::Churn);
        run.to_come = world.rng.between(1, if churns { 4 * slots } else { slots + 1 });
        if world.strikes(Fault::Drain) {
            run.drains_at = world.rng.between(1, run.calm_at);
        }
        run
    }

    /// A message goes round between two ends that both echo, until one of them drains.
    fn pair(
        engines: [Box<dyn Engine + 'a>; 2],
        world: &Shared,
        frames: &'a Frames,
        high_water: usize,
    ) -> Self {
        let mut run = Self::new(engines.into(), world, frames);
        {
            let world = &mut *world.borrow_mut();
            let len = world.rng.between(1, high_water);
            let script = Script::new(frames, len, &mut world.rng);
            let capacities = [(); 2].map(|()| script.len() + world.rng.below(100));
            let mut link = Link::new(script, capacities, None);
            let len = link.script.len();
            (link.injected[SERVER], link.into[SERVER].written) = (len, len);
            link.into[SERVER].arrived = len;
            world.links.push(link);
            run.drains_at = world.rng.between(1, run.calm_at);
            run.drains = world.rng.below(2);
        }
        run.watches.push([None, None]);
        for side in [SERVER, PEER] {
            run.admit(side, End { world: Rc::clone(world), id: 0, side });
        }
        run
    }

    fn new(engines: Vec<Box<dyn Engine + 'a>>, world: &Shared, frames: &'a Frames) -> Self {
        let mut random = world.borrow_mut();
        let calm_at = random.rng.between(20, 400);
        let creep = Duration::from_micros(random.rng.pick(&[1, 10, 500, 20_000]));
        drop(random);
        Self {
            world: Rc::clone(world),
            frames,
            engines,
            watches: Vec::new(),
            to_come: 0,
            backlog: Vec::new(),
            drains_at: usize::MAX,
            drains: 0,
            drain_begun: None,
            calm_at,
            step: 0,
            creep,
            barren: 0,
            statuses: Vec::new(),
            actors: Vec::new(),
        }
    }

    fn run_out(&mut self, limits: EchoLimits) {
        let longest = limits.idle_timeout.max(limits.stall_timeout).unwrap_or_default();
        let longest = 2 * (longest + limits.drain_timeout) + Duration::from_secs(20);
        let mut over_by = Duration::MAX;
        while !self.is_over() {
            self.step += 1;
            let now = self.world.borrow().now;
            assert!(self.step <= self.calm_at + CALM_STEPS && now < over_by, "it does not end");
            if self.step == self.calm_at {
                self.world.borrow_mut().calm_down();
                self.creep = Duration::from_millis(2);
                over_by = now + longest;
            }
            if self.step == self.drains_at {
                self.drain(now);
                continue;
            }
            match self.pick() {
                Some(actor) => self.act(actor),
                None => self.wait(),
            }
            let world = &mut *self.world.borrow_mut();
            world.now += world.rng.time(self.creep);
            if world.strikes(Fault::ClockJump) {
                world.now += world.rng.time(Duration::from_secs(5));
            }
        }
        self.engines.iter().for_each(|engine| engine.check_at_rest());
    }

    fn is_over(&self) -> bool {
        self.to_come == 0
            && self.backlog.is_empty()
            && self.world.borrow().links.iter().all(Link::is_gone)
    }

    /// One of those who can do something.
    fn pick(&mut self) -> Option<Actor> {
        let actors = &mut self.actors;
        actors.clear();
        let world = &mut *self.world.borrow_mut();
        let now = world.now;
        for (id, link) in world.links.iter().enumerate() {
            let acts_at = link.client.as_ref().and_then(|client| client.acts_at(link));
            actors.extend(link.lags().then_some(Actor::Network(id)));
            actors.extend(acts_at.filter(|at| *at <= now).map(|_| Actor::Client(id)));
        }
        let accepts = !self.backlog.is_empty() && self.engines[0].has_room();
        actors.extend(accepts.then_some(Actor::Accept));
        actors.extend((self.to_come > 0).then_some(Actor::Arrival));
        for (i, engine) in self.engines.iter().enumerate() {
            let is_due = engine.wake_at().is_some_and(|at| at <= now);
            if is_due || engine.is_ready(world) {
                actors.push(Actor::Engine(i));
            } else if world.strikes(Fault::SpuriousWake) {
                actors.push(Actor::Spurious(i));
            }
        }
        if actors.is_empty() { None } else { Some(world.rng.pick(actors)) }
    }

    fn act(&mut self, actor: Actor) {
        if !matches!(actor, Actor::Engine(_)) {
            self.barren = 0;
        }
        match actor {
            Actor::Engine(i) | Actor::Spurious(i) => self.turn(i),
            Actor::Client(id) => self.world.borrow_mut().client_acts(id),
            Actor::Network(id) => self.world.borrow_mut().deliver(id),
            Actor::Arrival => self.arrive(),
            Actor::Accept => {
                let end = self.backlog.remove(0);
                self.admit(0, end);
            }
        }
    }

    /// Nobody can do anything: goes on to when somebody can.
    fn wait(&mut self) {
        let engines = self.engines.iter().filter_map(|engine| engine.wake_at());
        let at = {
            let world = self.world.borrow();
            let acts_at =
                |link: &Link| link.client.as_ref().and_then(|client| client.acts_at(link));
            world.links.iter().filter_map(acts_at).chain(engines).min()
        };
        let world = &mut *self.world.borrow_mut();
        let Some(at) = at else {
            assert!(!world.calm, "nobody will do anything any more: {:#?}", world.links);
            self.calm_at = self.step + 1;
            return;
        };
        world.now = world.now.max(at);
        if world.strikes(Fault::LateWake) {
            world.now += world.rng.time(Duration::from_millis(300));
        }
        world.note(0, What::Waited, 0);
    }

    fn turn(&mut self, i: usize) {
        let (calls, effects) = self.before_turn();
        let mut ended = Vec::new();
        self.engines[i].turn(&mut ended);
        self.statuses.clear();
        self.engines[i].statuses(&mut self.statuses);
        let bounds = self.engines[i].bounds();
        let world = self.world.borrow();
        for (id, status) in self.statuses.iter().chain(&ended) {
            let watch = self.watches[*id][i].as_mut().expect("a connection that is no more");
            watch.judge(&world, *id, *status, &bounds);
        }
        for (id, _) in &ended {
            let watch = self.watches[*id][i].take();
            watch.expect("it ends once").judge_end(&world, *id);
        }
        if !self.engines[i].is_ready(&world) {
            let waits = self.statuses.iter().find(|(_, status)| status.has_ended());
            assert!(waits.is_none(), "the end waits for the peer: {waits:?}");
        }
        let barren = (world.calls - calls).saturating_sub(world.effects - effects);
        let most = BARREN_CALLS * (self.statuses.len() + ended.len() + 1);
        assert!(barren <= most, "{barren} system calls in one turn had no effect");
        self.barren = if world.effects > effects { 0 } else { self.barren + 1 };
        assert!(self.barren <= BARREN_TURNS, "turns without an effect");
    }

    fn before_turn(&self) -> (usize, usize) {
        let world = &mut *self.world.borrow_mut();
        world.note(0, What::Turn, 0);
        (world.calls, world.effects)
    }

    /// A peer connects.
    fn arrive(&mut self) {
        self.to_come -= 1;
        let world = &mut *self.world.borrow_mut();
        let len = world.rng.pick(&[30, 100, 500]);
        let mut script = Script::new(self.frames, len, &mut world.rng);
        let mut client = Client::choose(world, script.len());
        if world.calm {
            client.calm_down(0, &mut world.rng);
        }
        if world.strikes(Fault::BadFrame) {
            script.spoil(self.frames, &mut world.rng);
        }
        let sizes = if world.calm { &[1000][..] } else { &[1, 20, 100, 1000] };
        let capacities = [(); 2].map(|()| world.rng.pick(sizes));
        let id = world.links.len();
        world.links.push(Link::new(script, capacities, Some(client)));
        self.backlog.push(End { world: Rc::clone(&self.world), id, side: SERVER });
        self.watches.push([None, None]);
    }

    /// Lets the `i`-th engine serve `end`.
    fn admit(&mut self, i: usize, end: End) {
        let (id, side) = (end.id, end.side);
        self.engines[i].admit(end);
        self.statuses.clear();
        self.engines[i].statuses(&mut self.statuses);
        let status = self.statuses.iter().find(|(of, _)| *of == id).expect("it was let in").1;
        let world = &mut *self.world.borrow_mut();
        let mut watch = Watch::new(side, status, world.now);
        if let Some(begun) = self.drain_begun.filter(|_| i == self.drains) {
            watch.drain(begun, world.now);
        }
        self.watches[id][i] = Some(watch);
        world.note(id, What::Admitted, 0);
    }

    fn drain(&mut self, now: Duration) {
        self.to_come = 0;
        self.turn(self.drains); // an engine hears of it when it has dealt with all else
        self.drain_begun = Some(now);
        self.engines[self.drains].drain();
        self.world.borrow_mut().note(0, What::Drain, 0);
        for watches in &mut self.watches {
            watches[self.drains].iter_mut().for_each(|watch| watch.drain(now, now));
        }
    }
}
