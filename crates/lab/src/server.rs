//! A loopback HTTP and WebSocket server whose connections can be cut from outside.
//!
//! In: a [`Serve`]. Out: a port. Never: an address other than 127.0.0.1. Why: a node that hangs
//! up without an answer is an everyday fault, and a web framework has no word for it; so each
//! accepted socket keeps a second handle, the [`Line`], that can shut it.

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::Connected;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::Error;

/// The largest body or frame a client may send, in bytes.
const LARGEST_REQUEST: usize = 32 * 1024 * 1024;

/// What stands behind a port.
pub(crate) trait Serve: Send + Sync + 'static {
    /// Answers one HTTP request.
    fn answer(self: Arc<Self>, incoming: Incoming) -> impl Future<Output = Reply> + Send;
    /// Talks on one WebSocket until it closes.
    fn socket(self: Arc<Self>, socket: WebSocket, line: Line) -> impl Future<Output = ()> + Send;
}

/// One HTTP request.
pub(crate) struct Incoming {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A content type.
pub(crate) type Kind = Cow<'static, str>;

/// The content type of JSON.
pub(crate) const JSON: Kind = Cow::Borrowed("application/json");

/// What goes back for it.
pub(crate) enum Reply {
    /// An answer of a content type whose body is these pieces in a row.
    Send { status: u16, kind: Kind, retry_after: Option<u64>, pieces: Vec<Bytes> },
    /// The connection ends without an answer.
    Cut,
}

impl Reply {
    pub(crate) fn json(text: String) -> Self {
        Self::whole(200, vec![Bytes::from(text)])
    }

    /// What JSON-RPC says to anything but a post.
    pub(crate) fn only_posts() -> Self {
        Self::whole(405, Vec::new())
    }

    /// JSON in pieces.
    pub(crate) fn whole(status: u16, pieces: Vec<Bytes>) -> Self {
        Self::Send { status, kind: JSON, retry_after: None, pieces }
    }
}

/// A port that stays a node's own while nothing listens on it: it is bound all the time, so that
/// nobody who asks for a free one is given it, and who connects meanwhile is refused.
pub(crate) struct Place {
    port: u16,
    _bound: TcpSocket,
}

impl Place {
    /// A free port on 127.0.0.1.
    pub(crate) fn new() -> Result<Self, Error> {
        let bind = || {
            let socket = TcpSocket::new_v4()?;
            // Linux lets another socket bind the same port, and listen, where both say so.
            socket.set_reuseaddr(true)?;
            socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
            Ok(Self { port: socket.local_addr()?.port(), _bound: socket })
        };
        bind().map_err(|source| Error::Listen { port: 0, source })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }
}

/// A running server. Dropped without [`Server::stop`] it stops as well.
pub(crate) struct Server {
    port: u16,
    accepting: JoinHandle<()>,
    lines: Lines,
}

impl Server {
    /// Listens on 127.0.0.1; port 0 takes any free one.
    pub(crate) async fn start<S: Serve>(service: Arc<S>, port: u16) -> Result<Self, Error> {
        let failed = |source| Error::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let lines = Lines::default();
        let app = Router::new()
            .fallback(answer::<S>)
            .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
            .with_state(service)
            .into_make_service_with_connect_info::<Line>();
        let listener = Exchange { listener, lines: lines.clone() };
        let accepting = tokio::spawn(async move {
            // axum's accept loop never ends by itself, and so has no error to give.
            let _ended = axum::serve(listener, app).await;
        });
        Ok(Self { port: address.port(), accepting, lines })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Frees the port and cuts every connection.
    pub(crate) async fn stop(mut self) {
        self.accepting.abort();
        // Aborting ends the task with an error that says so; only its end matters here.
        let _aborted = (&mut self.accepting).await;
        self.lines.cut_all();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.lines.cut_all();
    }
}

async fn answer<S: Serve>(
    State(service): State<Arc<S>>,
    ConnectInfo(line): ConnectInfo<Line>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Ok(upgrade) = upgrade {
        return upgrade
            .max_message_size(LARGEST_REQUEST)
            .on_upgrade(move |socket| service.socket(socket, line));
    }
    match service.answer(Incoming { method, uri, headers, body }).await {
        Reply::Send { status, kind, retry_after, pieces } => {
            send(status, kind, retry_after, pieces)
        }
        Reply::Cut => {
            line.cut();
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

fn send(status: u16, kind: Kind, retry_after: Option<u64>, mut pieces: Vec<Bytes>) -> Response {
    let mut headers = HeaderMap::new();
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let body = if pieces.len() > 1 {
        let length = pieces.iter().fold(0_usize, |sum, piece| sum.saturating_add(piece.len()));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        let pieces = pieces.into_iter().map(Ok::<_, std::convert::Infallible>);
        Body::from_stream(futures_util::stream::iter(pieces))
    } else {
        Body::from(pieces.pop().unwrap_or_default())
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    (status, headers, body).into_response()
}

/// The second handle on a connection.
#[derive(Clone)]
pub(crate) struct Line(Arc<std::net::TcpStream>);

impl Line {
    /// Ends the connection in both directions, whatever it is doing.
    pub(crate) fn cut(&self) {
        // A connection the peer has already closed refuses, which is what was wanted.
        let _closed = self.0.shutdown(Shutdown::Both);
    }

    pub(crate) fn downgrade(&self) -> Weak<std::net::TcpStream> {
        Arc::downgrade(&self.0)
    }
}

/// Every connection that is open.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<Weak<std::net::TcpStream>>>>);

impl Lines {
    pub(crate) fn add(&self, line: &Line) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|line| line.strong_count() > 0);
        lines.push(line.downgrade());
    }

    pub(crate) fn cut_all(&self) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines.drain(..).filter_map(|line| line.upgrade()) {
            Line(line).cut();
        }
    }
}

/// Accepts connections and keeps their lines.
struct Exchange {
    listener: TcpListener,
    lines: Lines,
}

impl Listener for Exchange {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            // Without a line the connection could not be cut, so it is not taken.
            let Ok(handle) = stream.as_fd().try_clone_to_owned() else { continue };
            // Small answers must not wait for a timer; without the option they are only later.
            let _slower = stream.set_nodelay(true);
            let line = Line(Arc::new(std::net::TcpStream::from(handle)));
            self.lines.add(&line);
            return (Connection { stream, line }, peer);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Exchange>> for Line {
    fn connect_info(stream: IncomingStream<'_, Exchange>) -> Self {
        stream.io().line.clone()
    }
}

/// A TCP stream that owns its line.
struct Connection {
    stream: TcpStream,
    line: Line,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
