//! A house where some first enrolments need an operator's word, and that word.

use vitae::authority::{ApprovalFilter, ApprovalView, ApproveRefused, Failed};
use vitae::ids::{ApprovalId, HolderId};

use super::csr::{Key, request};
use super::wire::{Ask, Reply};
use super::{House, Policy};

/// As lifecycle.toml and the profiles can ask for it: `ldev` at the stage deployment, and `svc` everywhere.
pub(crate) fn by_hand(policy: &Policy) {
    policy.replace("lifecycle.toml", "\"issue when claimed\"", "\"issue when claimed with approval\"");
    policy.replace("profiles/svc.toml", "authenticate-by", "approval = true\nauthenticate-by");
}

/// A first enrolment for `ldev`.
pub(crate) fn enroll(key: &Key) -> Ask {
    Ask::est("ldev/simpleenroll", &request(key))
}

/// The id that a 202 names, in the form of RFC 7030 section 4.2.3 that every known client reads (E45).
pub(crate) fn pending(reply: &Reply) -> ApprovalId {
    assert_eq!(reply.status, 202, "{}", reply.text());
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1);
    assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
    assert_eq!(reply.header("content-type"), Some("text/plain"));
    let text = reply.text();
    assert!(text.is_ascii() && text.ends_with('\n') && text.len() < 300, "{text}");
    text.split(' ').find_map(|word| word.parse().ok()).unwrap_or_else(|| panic!("no id in {text}"))
}

impl House {
    pub(crate) fn approvals(&self) -> Vec<ApprovalView> {
        self.authority.approvals(&self.operator(), &ApprovalFilter::default()).unwrap().items
    }

    /// What is said of one that exists.
    pub(crate) fn approval(&self, id: ApprovalId) -> ApprovalView {
        self.approvals().into_iter().find(|view| view.id == id).unwrap()
    }

    /// pending, granted, denied, issued, cancelled or expired.
    pub(crate) fn standing(&self, id: ApprovalId) -> &'static str {
        self.approval(id).status.as_str()
    }

    pub(crate) async fn try_grant(&self, id: ApprovalId) -> Result<ApprovalView, Failed<ApproveRefused>> {
        self.authority.grant_approval(&self.operator(), &id, Some("ticket 17")).await
    }

    pub(crate) async fn grant(&self, id: ApprovalId) -> ApprovalView {
        self.try_grant(id).await.unwrap()
    }

    pub(crate) async fn deny(&self, id: ApprovalId, reason: &str) -> ApprovalView {
        self.authority.deny_approval(&self.operator(), &id, reason).await.unwrap()
    }

    pub(crate) async fn cancel(&self, id: ApprovalId) -> ApprovalView {
        self.authority.cancel_approval(&self.operator(), &id, None).await.unwrap()
    }

    /// How many lines of a holder's history say all of `words`.
    pub(crate) fn told_of(&self, id: &HolderId, words: &[&str]) -> usize {
        self.told(id).iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }
}
