//! A line to a node that can be cut and mended: a TCP relay on loopback.
//!
//! In: a port. Out: another port that leads there while the line is whole.
//! Never: a byte changed or delayed. Why: a daemon is cut off from a node that goes on.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The relay, while this lives.
pub(crate) struct Proxy {
    port: u16,
    whole: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// A line to the node at `url`, which names a port of the loopback.
    pub(crate) async fn to(url: &str) -> Self {
        let (_, port) = url.rsplit_once(':').expect("a URL with a port");
        let to: u16 = port.parse().expect("a port");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (whole, seen) = watch::channel(true);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(relay(near, to, seen.clone()));
            }
        });
        Self { port, whole, task }
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
async fn relay(mut near: TcpStream, to: u16, mut whole: watch::Receiver<bool>) {
    if !*whole.borrow_and_update() {
        return;
    }
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    // Any change means a cut, even one that is mended already.
    tokio::select! {
        _ = whole.changed() => {}
        _ = copy_bidirectional(&mut near, &mut far) => {}
    }
}
