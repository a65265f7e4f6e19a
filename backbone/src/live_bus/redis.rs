//! The live bus over Redis pub/sub, the only module that knows the client library.
//!
//! The link is two connections, one to publish and one to listen, kept by one task: both are up, or
//! the link is down. Pushes go from the reading task straight to the receivers' bounded queues, so
//! nothing can pile up on the way.
//!
//! The library's ConnectionManager is not used, because it stops resubscribing after six failed
//! attempts; nor is RESP2, in which a subscribed connection takes no other command.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::aio::{MultiplexedConnection, SendError};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ErrorKind, IntoConnectionInfo, ProtocolVersion,
    PushInfo, PushKind, RedisError, RedisResult, TlsCertificates, Value,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::hub::{Hub, Session};
use crate::Error;
use crate::client_tls::{ClientTls, read};
use crate::lifecycle::Lifecycle;
use crate::random::jitter;

/// Name of the server in errors of its settings.
const WHAT: &str = "the address of the live bus";
/// Time limit for a connection to be made, and for any answer.
const LIMIT: Duration = Duration::from_secs(1);
/// Interval of pings on both connections, by which a dead server is noticed.
const PING_EVERY: Duration = Duration::from_secs(1);
/// Pause before the first new attempt to connect; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// Longest pause between attempts, before jitter.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);
/// Jitter of a pause, with which the longest one stays within 500 ms.
const PAUSE_JITTER: f64 = 0.25;
/// Time after which a link counts as healthy: the pause before the next attempt is a first one
/// again.
const GOOD: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct RedisBus {
    channel: Arc<str>,
    publishing: watch::Receiver<Publishing>,
}

#[derive(Clone)]
enum Publishing {
    /// The first attempt to connect is still running.
    Undecided,
    Up(Connection),
    Down(String),
}

#[derive(Clone)]
struct Connection {
    redis: MultiplexedConnection,
    /// Token that whichever side notices the loss first cancels; the whole link is then given up.
    lost: CancellationToken,
}

impl RedisBus {
    pub(super) fn link(
        url: &str,
        tls: &ClientTls,
        channel: String,
        hub: Arc<Hub>,
        lifecycle: &Lifecycle,
    ) -> Result<Self, Error> {
        let certificates = certificates(tls)?;
        let client = open(url, certificates).map_err(|error| Error::broken(WHAT, error))?;
        let channel: Arc<str> = channel.into();

        let (decide, publishing) = watch::channel(Publishing::Undecided);
        let keeper = LinkKeeper {
            client,
            channel: channel.clone(),
            hub,
            decide,
        };

        let stopping = lifecycle.stopping();
        // A support task: draining tasks may still publish.
        lifecycle.spawn_support("live bus", async move {
            keeper.run(stopping).await;
            Ok::<_, Infallible>(())
        });

        Ok(Self {
            channel,
            publishing,
        })
    }

    pub(super) async fn publish(&self, message: &Bytes) -> Result<(), String> {
        // One deadline for connecting and for the answer, so that a publisher waits 1 s at most.
        let deadline = Instant::now() + LIMIT;
        let connected = timeout_at(deadline, self.connection()).await;
        let mut connection = connected.map_err(|_| "not connected yet".to_owned())??;

        let mut publish = redis::cmd("PUBLISH");
        publish.arg(&*self.channel).arg(&message[..]);
        let answer = timeout_at(
            deadline,
            publish.query_async::<Value>(&mut connection.redis),
        )
        .await;

        let error = match answer {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => no_answer(),
        };
        // An error that the server sent proves the connection alive; anything else gives the link
        // up.
        if !is_an_answer(&error) {
            connection.lost.cancel();
        }

        Err(error.to_string())
    }

    /// Returns why the link is down, as far as is known.
    pub(super) fn trouble(&self) -> Option<String> {
        match &*self.publishing.borrow() {
            Publishing::Down(why) => Some(why.clone()),
            Publishing::Undecided | Publishing::Up(_) => None,
        }
    }

    async fn connection(&self) -> Result<Connection, String> {
        let mut publishing = self.publishing.clone();
        let decided = publishing
            .wait_for(|publishing| !matches!(publishing, Publishing::Undecided))
            .await;

        match decided.as_deref() {
            // A lost connection is noticed here before its keeper has reported it.
            Ok(Publishing::Up(connection)) if !connection.lost.is_cancelled() => {
                Ok(connection.clone())
            }
            Ok(Publishing::Down(why)) => Err(why.clone()),
            Ok(Publishing::Up(_) | Publishing::Undecided) => {
                Err("the connection was lost".to_owned())
            }
            Err(_) => Err("stopped".to_owned()),
        }
    }
}

/// Task that makes the link, watches it, and makes it again until it is told to stop.
struct LinkKeeper {
    client: Client,
    channel: Arc<str>,
    hub: Arc<Hub>,
    decide: watch::Sender<Publishing>,
}

impl LinkKeeper {
    async fn run(self, stopping: CancellationToken) {
        let lives = async {
            let mut pause = FIRST_PAUSE;
            loop {
                let began = Instant::now();
                let Err(error) = self.keep_link().await;
                // Only a link that lived for a while resets the pause: one that fails at once must
                // not loop fast.
                if began.elapsed() >= GOOD {
                    pause = FIRST_PAUSE;
                }

                self.note_down(&error, pause == FIRST_PAUSE);
                sleep(jitter(pause, PAUSE_JITTER)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };

        let _: Option<Infallible> = stopping.run_until_cancelled(lives).await;
        self.hub.end();
        self.decide
            .send_replace(Publishing::Down("stopped".to_owned()));
    }

    /// Makes the link once, and returns with the error that ended it.
    async fn keep_link(&self) -> RedisResult<Infallible> {
        let session = Hub::begin(&self.hub);
        let lost = CancellationToken::new();

        let ended = tokio::select! {
            ended = self.connect_and_watch(&session, &lost) => ended,
            () = lost.cancelled() => Err((ErrorKind::Io, "the connection was lost").into()),
        };
        // The session ends with its connections: what they still deliver is ignored.
        self.hub.end();
        ended
    }

    async fn connect_and_watch(
        &self,
        session: &Session,
        lost: &CancellationToken,
    ) -> RedisResult<Infallible> {
        let mut publisher = self.connect(None, lost).await?;
        let mut listener = self.connect(Some(session.clone()), lost).await?;
        // Publishing comes first, so that nobody who receives `Subscribed` finds it failing.

        let connection = Connection {
            redis: publisher.clone(),
            lost: lost.clone(),
        };

        self.decide.send_replace(Publishing::Up(connection));

        listener.subscribe(&*self.channel).await?;
        tracing::info!(channel = &*self.channel, "the live bus is up");

        loop {
            sleep(PING_EVERY).await;
            // Both at once, so that a dead server is noticed within one interval and one time
            // limit.
            tokio::try_join!(ping(&mut publisher), ping(&mut listener))?;
        }
    }

    async fn connect(
        &self,
        session: Option<Session>,
        lost: &CancellationToken,
    ) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(LIMIT))
            .set_response_timeout(Some(LIMIT))
            .set_push_sender(push_handler(session, lost.clone()));

        self.client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    fn note_down(&self, error: &RedisError, first_of_a_row: bool) {
        let why = error.to_string();
        if first_of_a_row {
            tracing::warn!(why, "the live bus is down");
        } else {
            tracing::debug!(why, "the live bus is still down");
        }

        self.decide.send_replace(Publishing::Down(why));
    }
}

/// Returns the handler of a connection's pushes: its end and, with a session, its messages. The
/// connection's reading task calls it in the order of the wire, so it must not wait.
fn push_handler(
    session: Option<Session>,
    lost: CancellationToken,
) -> impl Fn(PushInfo) -> Result<(), SendError> {
    move |push| {
        match (push.kind, &session) {
            (PushKind::Subscribe, Some(session)) => session.up(),
            (PushKind::Message, Some(session)) => {
                // The payload follows the channel's name.
                if let Some(Value::BulkString(payload)) = push.data.into_iter().nth(1) {
                    session.message(payload.into());
                }
            }
            (PushKind::Disconnection | PushKind::Unsubscribe, _) => lost.cancel(),
            _ => {}
        }

        Ok(())
    }
}

/// Reads the files of a client's certificates.
fn certificates(tls: &ClientTls) -> Result<Option<TlsCertificates>, Error> {
    if !tls.is_given() {
        return Ok(None);
    }

    let root_cert = tls.ca.as_ref().map(|ca| read(WHAT, ca)).transpose()?;
    let client_tls = match &tls.identity {
        Some(identity) => Some(ClientTlsConfig {
            client_cert: read(WHAT, &identity.cert)?,
            client_key: read(WHAT, &identity.key)?,
        }),
        None => None,
    };

    Ok(Some(TlsCertificates {
        client_tls,
        root_cert,
    }))
}

fn open(url: &str, certificates: Option<TlsCertificates>) -> RedisResult<Client> {
    let info = url.into_connection_info()?;
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3);

    // The library leaves Nagle's algorithm on, and then the second of two messages waits for the
    // answer to the first.
    let tcp = TcpSettings::default().set_nodelay(true);
    let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
    match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates),
        None => Client::open(info),
    }
}

/// Sends a PING. An answer of any kind proves that the server is alive, even "LOADING".
async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    match timeout(LIMIT, redis::cmd("PING").query_async::<Value>(connection)).await {
        Ok(Err(error)) if !is_an_answer(&error) => Err(error),
        Ok(_) => Ok(()),
        Err(_) => Err(no_answer()),
    }
}

fn is_an_answer(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

fn no_answer() -> RedisError {
    (ErrorKind::Io, "no answer within 1 s").into()
}
