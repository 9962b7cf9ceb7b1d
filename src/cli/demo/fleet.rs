//! The invented fleet of `ca-config/demo/fleet.csv`, and a device as the demo plays it.

use std::fs;
use std::path::Path;

use crate::agent::{DeviceKey, Identity};
use crate::cli::Failure;
use crate::ids::{HolderId, MakerName, Serial};
use crate::pki::certificate::Certificate;

/// A line of the fleet, and what the device has got so far.
pub(super) struct Unit {
    pub(super) maker: MakerName,
    pub(super) model: String,
    pub(super) serial: String,
    pub(super) udi_di: String,
    pub(super) site: String,
    pub(super) lot: String,
    /// Given by the authority when it is registered.
    pub(super) id: Option<HolderId>,
    pub(super) birth: Option<Credential>,
    pub(super) operational: Option<Credential>,
}

/// A key and its certificate.
pub(super) struct Credential {
    pub(super) key: DeviceKey,
    pub(super) certificate: Certificate,
}

impl Credential {
    pub(super) fn new(key: DeviceKey, der: &[u8]) -> Result<Self, Failure> {
        Ok(Self { key, certificate: Certificate::from_der(der)? })
    }

    pub(super) fn identity(&self) -> Identity {
        Identity { chain: vec![self.certificate.der().to_vec()], key: self.key.to_der() }
    }

    pub(super) fn serial(&self) -> Result<Serial, Failure> {
        self.certificate
            .serial()
            .ok_or_else(|| Failure::Refused("a certificate has a foreign serial number".to_owned()))
    }
}

impl Unit {
    pub(super) fn id(&self) -> Result<&HolderId, Failure> {
        self.id.as_ref().ok_or_else(|| self.missing("an id"))
    }

    pub(super) fn birth(&self) -> Result<&Credential, Failure> {
        self.birth.as_ref().ok_or_else(|| self.missing("a birth certificate"))
    }

    pub(super) fn operational(&self) -> Result<&Credential, Failure> {
        self.operational.as_ref().ok_or_else(|| self.missing("an operational certificate"))
    }

    fn missing(&self, what: &str) -> Failure {
        Failure::Refused(format!("{} {} has not got {what}", self.model, self.serial))
    }
}

/// The first units of the list.
pub(super) fn load(config: &Path, count: usize) -> Result<Vec<Unit>, Failure> {
    let path = config.join("demo/fleet.csv");
    let bad = |what: String| Failure::Refused(format!("{}: {what}", path.display()));
    let text = fs::read_to_string(&path).map_err(|error| bad(error.to_string()))?;
    let mut lines = text.lines();
    if lines.next() != Some("maker,model,serial,udi_di,site,lot") {
        return Err(bad("its first line is not maker,model,serial,udi_di,site,lot".to_owned()));
    }
    let units: Vec<Unit> = lines
        .take(count)
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let [maker, model, serial, udi_di, site, lot] = fields[..] else {
                return Err(bad(format!("'{line}' has not six fields")));
            };
            Ok(Unit {
                maker: maker.parse().map_err(|error| bad(format!("{error}")))?,
                model: model.to_owned(),
                serial: serial.to_owned(),
                udi_di: udi_di.to_owned(),
                site: site.to_owned(),
                lot: lot.to_owned(),
                id: None,
                birth: None,
                operational: None,
            })
        })
        .collect::<Result<_, Failure>>()?;
    if units.len() < count {
        return Err(bad(format!("it holds {} units, not {count}", units.len())));
    }
    Ok(units)
}
