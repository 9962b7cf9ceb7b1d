//! The leanest HTTP/1.1 client that can be called one: what it saves is left to the server that is measured.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::Outcome;

/// An answer: its head as text, and its body.
pub(crate) struct Answer<'a> {
    pub(crate) head: &'a str,
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    pub(crate) fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "))
    }
}

pub(crate) fn get(path: &str, host: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

pub(crate) fn post(path: &str, host: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/pkcs10\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends one request and reads its answer; `buffer` is used again and again.
pub(crate) async fn exchange<'a, S>(
    stream: &mut S,
    request: &[u8],
    buffer: &'a mut Vec<u8>,
) -> Outcome<Answer<'a>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(request).await?;
    stream.flush().await?;
    buffer.clear();
    let (head, whole) = loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err("the server closed the connection without an answer".into());
        }
        if let Some(head) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break (head, head + 4 + length(std::str::from_utf8(&buffer[..head])?)?);
        }
    };
    while buffer.len() < whole {
        if stream.read_buf(buffer).await? == 0 {
            return Err("the answer broke off".into());
        }
    }
    Ok(Answer { head: std::str::from_utf8(&buffer[..head])?, body: &buffer[head + 4..whole] })
}

fn length(head: &str) -> Outcome<usize> {
    let field = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    Ok(field.ok_or("an answer without a length")?.parse()?)
}
