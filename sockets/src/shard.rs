//! One shard: a task that owns many sockets and everything that is written to them.
//!
//! The loop takes what comes next: a command, a newer tip, a socket that takes bytes again, a timer, a change of keys, or
//! the turn of a socket that has more to write. Each takes a bounded time, and none of them waits.

mod batch;
mod delivery;
mod inbox;
mod limits;
mod messages;
mod opening;
mod operations;
mod outgoing;
mod reader;
mod renderings;
mod scratch;
mod socket;
mod subscription;
mod timers;
mod window;
mod writable;

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use backbone::Error;
use backbone::clock::Clock;
use backbone::position::Position;
use live::{Feed, FeedOffset, Interest, TipReader};
use slotmap::{SlotMap, new_key_type};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use crate::metrics::SocketMetrics;
use crate::service::Service;
use crate::settings::Settings;
use crate::stagger::Staggers;
use batch::Batch;
use inbox::Command;
use renderings::Renderings;
use scratch::Scratch;
use socket::Socket;
use subscription::Subscription;
use timers::{Timer, Timers};
use writable::WritableSockets;

pub(crate) use inbox::{Inbox, Newcomer};
pub(crate) use scratch::Wire;

/// Commands that are taken in a row before others get a turn.
const COMMANDS_IN_A_ROW: usize = 128;

/// Sockets that are written to in a row before the thread's other tasks get a turn.
const SOCKETS_IN_A_ROW: usize = 128;

new_key_type! {
    /// Key of a socket within its shard. Keys are not used again, so a command for a socket that is gone finds none.
    pub(crate) struct SocketKey;
    /// Key of a subscription within its shard.
    pub(crate) struct SubscriptionKey;
}

/// Parts that the shards of a gateway share.
pub(crate) struct Shared<S> {
    pub(crate) service: Arc<S>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) metrics: SocketMetrics,
    pub(crate) staggers: Staggers,
    pub(crate) draining: CancellationToken,
    pub(crate) stopping: CancellationToken,
}

/// One shard.
pub(crate) struct Shard<S: Service> {
    shared: Arc<Shared<S>>,
    inbox: Inbox<S>,
    commands: UnboundedReceiver<Command<S>>,
    tip: TipReader,
    keys: watch::Receiver<u64>,
    writable: Arc<WritableSockets>,
    timers: Timers,
    sockets: SlotMap<SocketKey, Socket<S>>,
    subscriptions: SlotMap<SubscriptionKey, Subscription>,
    interest: Interest<SubscriptionKey>,
    /// Generation of the tables whose access the topics of the subscriptions were read from.
    generation: Option<i32>,
    /// Offset up to which the shard has read the feed. A subscription at the tip has seen everything up to here.
    place: FeedOffset,
    /// Changes that are being written, each to the subscriptions in whose masks it is.
    batch: Batch,
    /// Sockets with a subscription that a change of the batch concerns.
    touched: Vec<SocketKey>,
    /// Sockets that have more to write than fitted into their last turn.
    turns: VecDeque<SocketKey>,
    renderings: Renderings,
    scratch: Scratch,
    is_draining: bool,
}

/// Event that the loop takes next.
enum Event<S: Service> {
    Command(Command<S>),
    Tip,
    Writable(Vec<SocketKey>),
    Timer(SocketKey, Timer),
    Keys,
    Turns,
    Draining,
    Stopping,
}

impl<S: Service> Shard<S> {
    /// Creates a shard without sockets, and the inbox by which it gets them.
    pub(crate) fn new(shared: Arc<Shared<S>>) -> (Self, Inbox<S>) {
        let (inbox, commands) = Inbox::new();

        let shard = Self {
            inbox: inbox.clone(),
            commands,
            tip: shared.feed.tip_reader(),
            keys: shared.service.key_changes(),
            writable: Arc::default(),
            timers: Timers::default(),
            sockets: SlotMap::with_key(),
            subscriptions: SlotMap::with_key(),
            interest: Interest::default(),
            generation: None,
            place: (0, Position::END),
            batch: Batch::default(),
            touched: Vec::new(),
            turns: VecDeque::new(),
            renderings: Renderings::default(),
            scratch: Scratch::default(),
            is_draining: false,
            shared,
        };
        (shard, inbox)
    }

    /// Runs the shard until the process stops, or until it drains and the last socket has ended.
    ///
    /// # Errors
    /// None: the type is that of the process's tasks.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        loop {
            match self.next_event().await {
                Event::Command(command) => self.take_commands(command),
                Event::Tip => self.advance().await,
                Event::Writable(sockets) => self.each(sockets, Self::resume_writes),
                Event::Timer(socket, timer) => {
                    self.guarded(socket, |shard, socket| shard.on_timer(socket, timer));
                }
                Event::Keys => self.check_keys(),
                Event::Turns => self.take_turns().await,
                Event::Draining => self.drain(),
                Event::Stopping => return Ok(()),
            }

            // Also for the sake of what may be rendered anew: tables that were rebuilt give a change other contents.
            self.renderings.clear();
            if self.is_draining && self.sockets.is_empty() {
                return Ok(());
            }
        }
    }

    async fn next_event(&mut self) -> Event<S> {
        let Self {
            shared,
            commands,
            tip,
            keys,
            writable,
            timers,
            place,
            turns,
            is_draining,
            ..
        } = self;

        // Not biased: no source may starve the others, however much a client makes of it.
        tokio::select! {
            () = shared.stopping.cancelled() => Event::Stopping,
            () = shared.draining.cancelled(), if !*is_draining => Event::Draining,
            Some(command) = commands.recv() => Event::Command(command),
            () = poll_fn(|context| tip.poll_beyond(place.0, context)) => Event::Tip,
            sockets = writable.next() => Event::Writable(sockets),
            (socket, timer) = timers.next() => Event::Timer(socket, timer),
            () = changed(keys) => Event::Keys,
            () = async {}, if !turns.is_empty() => Event::Turns,
        }
    }

    fn take_commands(&mut self, first: Command<S>) {
        self.take_command(first);

        // Those that have come meanwhile, without a trip through the scheduler for each.
        for _ in 1..COMMANDS_IN_A_ROW {
            match self.commands.try_recv() {
                Ok(command) => self.take_command(command),
                Err(_) => return,
            }
        }
    }

    async fn take_turns(&mut self) {
        // Whoever needs another turn comes after all others.
        let waiting = std::mem::take(&mut self.turns);

        for (index, socket) in waiting.into_iter().enumerate() {
            if let Some(socket) = self.sockets.get_mut(socket) {
                socket.has_turn = false;
            }
            self.guarded(socket, Self::flush);

            if index % SOCKETS_IN_A_ROW == SOCKETS_IN_A_ROW - 1 {
                yield_now().await;
            }
        }
        // The next event is at hand if there are turns left, and would be taken without giving way to other tasks.
        yield_now().await;
    }

    fn each(
        &mut self,
        sockets: impl IntoIterator<Item = SocketKey>,
        action: impl Fn(&mut Self, SocketKey),
    ) {
        for socket in sockets {
            self.guarded(socket, &action);
        }
    }

    /// Does something for one socket. If that panics, the socket is given up, and nothing else.
    fn guarded(&mut self, socket: SocketKey, action: impl FnOnce(&mut Self, SocketKey)) {
        if !self.sockets.contains_key(socket) {
            return;
        }

        // The shard's own state is consistent between any two of its statements that can panic: what a panic can leave
        // half done belongs to the socket, which is removed.
        let done = catch_unwind(AssertUnwindSafe(|| action(self, socket)));
        if done.is_err() {
            tracing::error!("a socket was given up because of a panic");
            self.shared.metrics.panics.inc();
            self.remove(socket);
        }
    }

    /// Gives a socket a turn to write more.
    fn add_turn(&mut self, key: SocketKey) {
        if let Some(socket) = self.sockets.get_mut(key)
            && !socket.has_turn
        {
            socket.has_turn = true;
            self.turns.push_back(key);
        }
    }

    /// Closes the sockets of revoked keys, and lets those write again whose keys are trusted again.
    fn check_keys(&mut self) {
        // All of them: it happens when a key is revoked or a database goes away, and costs a look at each.
        let all: Vec<SocketKey> = self.sockets.keys().collect();
        self.each(all, Self::check_key);
    }

    /// Begins the end of all sockets, each at its own time.
    fn drain(&mut self) {
        self.is_draining = true;

        let all: Vec<SocketKey> = self.sockets.keys().collect();
        for socket in all {
            self.set_drain_turn(socket);
        }
    }
}

/// Completes when keys may have changed.
async fn changed(keys: &mut watch::Receiver<u64>) {
    // The key ring ends only with the process.
    if keys.changed().await.is_err() {
        pending().await
    }
}
