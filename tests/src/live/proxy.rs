//! A line to a node or a database that can be cut and mended: a relay on loopback.
//!
//! In: where a server listens. Out: a port that leads there while the line is whole.
//! Never: a byte changed or delayed. Why: a daemon is cut off from a server that goes on, or hears
//! nothing more of it.

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The relay, while this lives.
pub(crate) struct Proxy {
    port: u16,
    whole: watch::Sender<bool>,
    hushed: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Where a line leads.
#[derive(Debug, Clone)]
enum Far {
    /// Host and port.
    Tcp(String),
    /// The path of a socket.
    Unix(String),
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// A line to the node at `url`.
    pub(crate) async fn to(url: &str) -> Self {
        let (_, authority) = url.split_once("://").expect("a URL");
        Self::start(Far::Tcp(authority.to_owned())).await
    }

    /// A line to the PostgreSQL server of `url`, and the URL that leads over it.
    pub(crate) async fn to_postgres(url: &str) -> (Self, String) {
        let (before, options) = url.split_once('?').unwrap_or((url, ""));
        let (head, name) = before.rsplit_once('/').expect("a database");
        let (user, authority) = head.rsplit_once('@').expect("a user");
        let folder = options.split('&').find_map(|option| option.strip_prefix("host="));
        let far = match folder {
            Some(folder) => Far::Unix(format!("{folder}/.s.PGSQL.5432")),
            None if authority.contains(':') => Far::Tcp(authority.to_owned()),
            None => Far::Tcp(format!("{authority}:5432")),
        };
        let line = Self::start(far).await;
        let url = format!("{user}@127.0.0.1:{}/{name}", line.port);
        (line, url)
    }

    async fn start(far: Far) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (whole, seen) = watch::channel(true);
        let (hushed, heard) = watch::channel(false);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(relay(near, far.clone(), seen.clone(), heard.clone()));
            }
        });
        Self { port, whole, hushed, task }
    }

    pub(crate) fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Ends every connection, and each new one at once.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Leads nothing on any more, and ends no connection: each end believes in the other.
    pub(crate) fn hush(&self) {
        self.hushed.send_replace(true);
    }

    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }

    /// Ends every connection; new ones are led on.
    pub(crate) fn snap(&self) {
        self.cut();
        self.mend();
    }
}

/// Leads one connection on until either side, or a cut, ends it.
async fn relay(
    near: TcpStream,
    far: Far,
    mut whole: watch::Receiver<bool>,
    hushed: watch::Receiver<bool>,
) {
    if !*whole.borrow_and_update() {
        return;
    }
    // Whoever cannot be led anywhere is let go.
    match far {
        Far::Tcp(authority) => {
            let Ok(far) = TcpStream::connect(authority).await else { return };
            lead(near, far, whole, hushed).await;
        }
        Far::Unix(path) => {
            let Ok(far) = UnixStream::connect(path).await else { return };
            lead(near, far, whole, hushed).await;
        }
    }
}

async fn lead(
    mut near: TcpStream,
    mut far: impl AsyncRead + AsyncWrite + Unpin,
    mut whole: watch::Receiver<bool>,
    mut hushed: watch::Receiver<bool>,
) {
    // Any change means a cut, even one mended already. Why a line ended is its ends' to say.
    let is_held = tokio::select! {
        biased;
        _ = whole.changed() => false,
        _ = hushed.wait_for(|hushed| *hushed) => true,
        _ = copy_bidirectional(&mut near, &mut far) => false,
    };
    if is_held {
        let _ = whole.changed().await;
    }
}
