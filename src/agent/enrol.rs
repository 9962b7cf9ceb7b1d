//! A first enrolment that may have to wait until somebody approves it (RFC 7030 section 4.2.3).

use std::time::Duration;

use super::client::{AgentError, EstClient};
use super::request::DeviceKey;

/// What a device that waits is told about, to pass it on to people.
#[derive(Debug)]
pub enum Waits<'a> {
    /// The server's own words, and when the request is made again.
    Approval { text: &'a str, retry_after: Duration },
    /// Not even that could be asked; it will be tried again as if the server had said so.
    Trouble { error: &'a AgentError, retry_after: Duration },
}

/// Makes the same request until it is answered by a certificate or a refusal. A device that was told to wait goes on
/// through broken connections and restarts of the server; before that, any trouble ends it. Each request is signed anew
/// for the connection it is sent on; with the same key and names it is the same one.
pub async fn enroll_patiently(
    client: &EstClient,
    label: Option<&str>,
    (key, serial_number): (&DeviceKey, Option<&str>),
    token: Option<(&str, &str)>,
    mut told: impl FnMut(Waits<'_>),
) -> Result<Vec<u8>, AgentError> {
    let mut waiting: Option<Duration> = None;
    loop {
        let answer = match client.connect().await {
            Ok(mut connection) => {
                let request = key.request_on(&connection, serial_number)?;
                connection.enroll(label, &request, token).await
            }
            Err(error) => Err(error),
        };
        let pause = match (answer, waiting) {
            (Err(AgentError::Waits { text, retry_after }), _) => {
                told(Waits::Approval { text: &text, retry_after });
                waiting = Some(retry_after);
                retry_after
            }
            (Err(error), Some(retry_after)) if error.may_pass() => {
                told(Waits::Trouble { error: &error, retry_after });
                retry_after
            }
            (answer, _) => return answer,
        };
        tokio::time::sleep(pause).await;
    }
}
