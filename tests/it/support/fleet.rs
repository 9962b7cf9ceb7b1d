//! What operators do, in short words.

use vitae::authority::{
    CertificateFilter, CertificateView, Failed, MoveRefused, Moved, Operator, Revocation, RevocationAsked,
    RevokeRefused,
};
use vitae::config::Need;
use vitae::fleet::movement::Details;
use vitae::fleet::register::{NewDevice, NewIdentity};
use vitae::ids::{HolderId, Reason, Serial};

use super::csr::{key, request};
use super::wire::{Ask, Card};
use super::{HOUR, House};

impl House {
    pub(crate) fn operator(&self) -> Operator {
        self.authority.local_operator().unwrap()
    }

    /// How many events the ledger holds.
    pub(crate) fn events(&self) -> u64 {
        self.authority.tree_head(&self.operator()).unwrap().size
    }

    /// A P3 pump of the maker brannoc.
    pub(crate) async fn register(&self, serial: &str, stage: &str) -> HolderId {
        self.register_as("brannoc", "P3", serial, stage).await
    }

    pub(crate) async fn register_as(&self, maker: &str, model: &str, serial: &str, stage: &str) -> HolderId {
        let new = NewDevice {
            maker: maker.parse().unwrap(),
            model: model.to_owned(),
            serial: serial.to_owned(),
            udi_di: None,
            site: None,
            lot: None,
            owner: None,
            stage: Some(stage.parse().unwrap()),
        };
        self.authority.register_device(&self.operator(), new).await.unwrap().id
    }

    pub(crate) async fn register_identity(&self, kind: &str, name: &str) -> HolderId {
        let new = NewIdentity {
            kind: kind.to_owned(),
            name: name.to_owned(),
            maker: Some("brannoc".parse().unwrap()),
            owner: "release manager".to_owned(),
            purpose: "a test".to_owned(),
        };
        self.authority.register_identity(&self.operator(), new).await.unwrap().id
    }

    /// A move with everything that a transition may want to be told.
    pub(crate) async fn try_go(&self, id: &HolderId, stage: &str) -> Result<Moved, Failed<MoveRefused>> {
        let say = |text: &str| Some(text.to_owned());
        let stage = stage.parse().unwrap();
        let lifecycle = self.authority.config().lifecycle();
        // A store that cannot be read has the move itself to say so.
        let claims = self.authority.device(&self.operator(), id).is_ok_and(|device| {
            let transition = lifecycle.transition(&device.stage, &stage, &device.marks);
            transition.is_some_and(|transition| transition.needs().contains(&Need::Owner))
        });
        let owner = say("SUH").filter(|_| claims);
        let details = Details { reason: say("a test"), evidence: say("none"), owner };
        self.authority.move_device(&self.operator(), id, &stage, &details).await
    }

    pub(crate) async fn go(&self, id: &HolderId, stage: &str) -> Moved {
        self.try_go(id, stage).await.unwrap()
    }

    /// A one-time token that lives for an hour.
    pub(crate) async fn token(&self, id: &HolderId, profile: &str) -> String {
        let profile = profile.parse().unwrap();
        let token = self.authority.issue_token(&self.operator(), id, Some(&profile), HOUR).await.unwrap();
        token.secret.to_string()
    }

    /// Enrols for `profile` with a token.
    pub(crate) async fn enrolled(&self, id: &HolderId, profile: &str) -> Card {
        let (key, token) = (key(), self.token(id, profile).await);
        let ask = Ask::est(&format!("{profile}/simpleenroll"), &request(&key)).basic(id.as_str(), &token);
        Card::new(&key, &self.ask(None, &ask).await.certificate())
    }

    /// A factory line with a good certificate; what it may do is up to roles.toml.
    pub(crate) async fn line(&self, name: &str) -> (HolderId, Card) {
        let id = self.register_identity("ra", name).await;
        let card = self.enrolled(&id, "ra").await;
        (id, card)
    }

    /// A unit in the field that is claimed and enrolled.
    pub(crate) async fn working(&self, serial: &str) -> (HolderId, Card) {
        let id = self.register(serial, "deployment").await;
        let card = self.enrolled(&id, "ldev").await;
        (id, card)
    }

    /// A unit in the field with the birth certificate of our own CA.
    pub(crate) async fn born(&self, serial: &str) -> (HolderId, Card) {
        let id = self.register(serial, "manufacturing").await;
        let birth = self.enrolled(&id, "idev").await;
        self.go(&id, "deployment").await;
        self.go(&id, "deployment").await;
        (id, birth)
    }

    pub(crate) async fn try_revoke(
        &self,
        serial: Serial,
        reason: Reason,
    ) -> Result<Revocation, Failed<RevokeRefused>> {
        let asked = RevocationAsked { serials: vec![serial], reason, invalid_since: None };
        self.authority.revoke(&self.operator(), asked).await
    }

    pub(crate) async fn revoke(&self, serial: Serial, reason: Reason) -> Revocation {
        self.try_revoke(serial, reason).await.unwrap()
    }

    pub(crate) fn certificates_of(&self, id: &HolderId) -> Vec<CertificateView> {
        let filter = CertificateFilter { device: Some(id.clone()), ..CertificateFilter::default() };
        self.authority.certificates(&self.operator(), &filter).unwrap().items
    }

    /// good, held, revoked or expired.
    pub(crate) fn status_of(&self, serial: Serial) -> String {
        self.authority.certificate(&self.operator(), &serial).unwrap().status
    }

    /// The kinds of the events of a holder's life, oldest first.
    pub(crate) fn told(&self, id: &HolderId) -> Vec<String> {
        let history = self.authority.history(&self.operator(), id, None).unwrap();
        let mut lines: Vec<_> = history.into_iter().map(|line| (line.event, line.what)).collect();
        lines.sort();
        lines.into_iter().map(|(_, what)| what).collect()
    }
}
