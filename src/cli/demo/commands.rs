//! Commands for the audience, with real paths and ports: they work as they are printed.

use std::env;
use std::path::Path;

use super::cast::Cast;
use super::fleet::Unit;
use crate::admin::NewDeviceBody;
use crate::cli::{Failure, output};
use crate::fleet::Device;
use crate::pki::pem;

/// How long the printed token is good.
const DAY: u64 = 86_400;

pub(super) async fn print(cast: &Cast, units: &[Unit]) -> Result<(), Failure> {
    let house = &cast.house;
    let body = NewDeviceBody {
        model: "P3".to_owned(),
        serial: "DEMO000001".to_owned(),
        stage: Some("deployment".parse()?),
        ..NewDeviceBody::default()
    };
    let device: Device = cast.admin().await?.post("/api/v1/devices", &body).await?;
    let token = cast.token(&device.id, "ldev", DAY).await?;
    let unit = units.first().ok_or_else(|| Failure::Refused("the fleet is empty".to_owned()))?;
    let serial = unit.operational()?.serial()?;
    let leaf = house.dir.join("device.pem");
    std::fs::write(&leaf, pem::encode("CERTIFICATE", unit.operational()?.certificate.der()))?;

    let dir = shown(&house.dir);
    let est = house.addresses.est.port();
    let status = house.addresses.status;
    let vitae = env::current_exe().map_or_else(|_| "vitae".to_owned(), |path| shown(&path));
    output::line(format!(
        "
Try it, while this serves:

# whom to trust
curl -s --cacert {dir}/ca/chain.pem https://localhost:{est}/.well-known/est/cacerts \\
  | openssl base64 -d -A | openssl pkcs7 -inform DER -print_certs -noout

# a new device makes a key and enrols with its one-time token; asked again, it is refused
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {dir}/new.key \\
  -subj /serialNumber=DEMO000001 -outform DER 2>/dev/null | openssl base64 -A -out {dir}/new.csr
curl -s --cacert {dir}/ca/chain.pem -u {id}:{token} \\
  -H 'Content-Type: application/pkcs10' --data-binary @{dir}/new.csr \\
  https://localhost:{est}/.well-known/est/simpleenroll \\
  | openssl base64 -d -A | openssl pkcs7 -inform DER -print_certs -out {dir}/new.pem
openssl x509 -in {dir}/new.pem -noout -subject -dates -ext subjectAltName

# is it good? the compromised firmware signer is not
openssl ocsp -issuer {dir}/ca/operational.pem -cert {dir}/device.pem \\
  -url http://{status}/ocsp -CAfile {dir}/ca/chain.pem
openssl ocsp -issuer {dir}/ca/update.pem -cert {dir}/update-signer.pem \\
  -url http://{status}/ocsp -CAfile {dir}/ca/update-root.pem
curl -s http://{status}/crl/update/0.crl | openssl crl -inform DER -noout -text

# the story of a certificate, the life of a device
{vitae} --dir {dir} cert trace {serial}
{vitae} --dir {dir} device history {device}
{vitae} --dir {dir} revoke {serial} --reason key-compromise",
        id = device.id,
        device = unit.id()?,
    ))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
