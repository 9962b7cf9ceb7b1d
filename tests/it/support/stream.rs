//! A stream of server-sent events, read as the standard says and not as our own client does.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HOST, HeaderMap};
use hyper::{Request, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::timeout;
use vitae::http::Client;

use super::House;

/// More than anything here takes on a slow machine; only what hangs gets there.
const PATIENCE: Duration = Duration::from_secs(60);

/// What stands between two empty lines; comments are lines too.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Block {
    pub(crate) id: Option<u64>,
    pub(crate) event: Option<String>,
    pub(crate) data: Option<Value>,
    pub(crate) comment: bool,
    pub(crate) retry: Option<String>,
}

pub(crate) struct Stream {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    read: String,
    _client: Client,
}

impl Stream {
    /// By the local socket; `query` begins with its question mark.
    pub(crate) async fn open(house: &House, query: &str) -> Self {
        Self::after(house, query, None).await
    }

    pub(crate) async fn after(house: &House, query: &str, last: Option<&str>) -> Self {
        let stream = UnixStream::connect(house.dir().join("admin.sock")).await.unwrap();
        Self::over(stream, query, last).await
    }

    pub(crate) async fn over<S>(stream: S, query: &str, last: Option<&str>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut request = Request::builder().uri(format!("/api/v1/events{query}")).header(HOST, "localhost");
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let mut client = Client::new(stream).await.unwrap();
        let response = client.open(request.body(Full::new(Bytes::new())).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        Self { status: head.status, headers: head.headers, body, read: String::new(), _client: client }
    }

    /// The next block, signs of life too; `None` when the stream has ended in good order.
    pub(crate) async fn block(&mut self) -> Option<Block> {
        loop {
            if let Some((block, rest)) = self.read.split_once("\n\n") {
                let block = parse(block);
                self.read = rest.to_owned();
                return Some(block);
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("the stream goes on");
            let frame = frame?.expect("the stream is not broken off");
            self.read.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Option<Value> {
        loop {
            let block = self.block().await?;
            let Some(data) = block.data else { continue };
            assert_eq!(data["id"], block.id.unwrap().to_string());
            assert_eq!(data["type"], block.event.unwrap());
            return Some(data);
        }
    }

    /// All events up to the end.
    pub(crate) async fn events(mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            events.push(event);
        }
        events
    }

    /// The body of a refusal.
    pub(crate) async fn problem(self) -> Value {
        serde_json::from_slice(&self.body.collect().await.unwrap().to_bytes()).unwrap()
    }
}

fn parse(text: &str) -> Block {
    let mut block = Block::default();
    for line in text.lines() {
        let (field, value) = line.split_once(": ").unwrap();
        match field {
            "" => block.comment = true,
            "id" => block.id = Some(value.parse().unwrap()),
            "event" => block.event = Some(value.to_owned()),
            "data" => {
                assert_eq!(block.data, None, "an event is one line");
                block.data = Some(serde_json::from_str(value).unwrap());
            }
            "retry" => block.retry = Some(value.to_owned()),
            other => panic!("{other}"),
        }
    }
    block
}

/// The numbers of events.
pub(crate) fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["id"].as_str().unwrap().parse().unwrap()).collect()
}
