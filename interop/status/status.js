// What pkijs says of a certificate.
//
//   node status.js ocsp CERT ISSUER          asks the responder that the certificate names: SHA-256, with a nonce
//   node status.js crl CERT ISSUER LIST...   looks it up in complete lists, in DER
//
// Prints 'good', 'unknown' or 'revoked REASON'. What is not signed or about something else ends it. pkijs knows no
// deltas: they are passed over.
'use strict';

const { webcrypto, randomFillSync } = require('node:crypto');
const { readFileSync } = require('node:fs');
const http = require('node:http');
const asn1js = require('asn1js');
const pkijs = require('pkijs');

pkijs.setEngine('node', new pkijs.CryptoEngine({ name: 'node', crypto: webcrypto }));

const REASONS = ['unspecified', 'keyCompromise', 'cACompromise', 'affiliationChanged', 'superseded',
  'cessationOfOperation', 'certificateHold', '', 'removeFromCRL', 'privilegeWithdrawn', 'aACompromise'];

function must(condition, text) {
  if (!condition) throw new Error(text);
}

function certificate(path) {
  const base64 = /-----BEGIN CERTIFICATE-----([^-]*)-----END/.exec(readFileSync(path, 'utf8'))[1];
  return pkijs.Certificate.fromBER(Buffer.from(base64, 'base64'));
}

function extension(owner, oid) {
  return owner?.extensions?.find((found) => found.extnID === oid)?.parsedValue;
}

function post(url, body) {
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/ocsp-request', 'Content-Length': body.byteLength };
    const request = http.request(url, { method: 'POST', headers }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => resolve(Buffer.concat(parts)));
    });
    request.on('error', reject);
    request.end(Buffer.from(body));
  });
}

async function byOcsp(cert, issuer) {
  const access = extension(cert, '1.3.6.1.5.5.7.1.1').accessDescriptions;
  const url = access.find((found) => found.accessMethod === '1.3.6.1.5.5.7.48.1').accessLocation.value;
  const question = new pkijs.OCSPRequest();
  await question.createForCertificate(cert, { hashAlgorithm: 'SHA-256', issuerCertificate: issuer });
  const nonce = new asn1js.OctetString({ valueHex: randomFillSync(Buffer.alloc(32)) }).toBER(false);
  question.tbsRequest.requestExtensions = [new pkijs.Extension({ extnID: '1.3.6.1.5.5.7.48.1.2', extnValue: nonce })];
  const response = pkijs.OCSPResponse.fromBER(await post(url, question.toSchema(true).toBER(false)));
  must(response.responseStatus.valueBlock.valueDec === 0, 'no successful response');
  const basic = pkijs.BasicOCSPResponse.fromBER(response.responseBytes.response.valueBlock.valueHexView);
  must(await basic.verify({ trustedCerts: [issuer] }), 'the signature does not verify');
  const echoed = basic.tbsResponseData.responseExtensions.find((found) => found.extnID === '1.3.6.1.5.5.7.48.1.2');
  must(Buffer.from(nonce).equals(Buffer.from(echoed.extnValue.valueBlock.valueHexView)), 'another nonce (O16)');
  const { isForCertificate, status } = await basic.getCertificateStatus(cert, issuer);
  must(isForCertificate, 'about another certificate (O08)');
  if (status !== 1) return status === 0 ? 'good' : 'unknown';
  const told = basic.tbsResponseData.responses[0].certStatus.valueBlock.value[1];
  return told ? `revoked ${REASONS[told.valueBlock.value[0].valueBlock.valueDec]}` : 'revoked';
}

async function byList(cert, issuer, paths) {
  let found = 'good';
  let complete = 0;
  for (const path of paths) {
    const list = pkijs.CertificateRevocationList.fromBER(readFileSync(path));
    if (extension(list.crlExtensions, '2.5.29.27') !== undefined) continue;
    complete += 1;
    must(await list.verify({ issuerCertificate: issuer }), 'the signature does not verify');
    const revoked = list.isCertificateRevoked(cert);
    // What its path validation makes of the same list must be no other thing. The path is that to the issuer, because
    // beyond it other lists would be asked for.
    const all = { trustedCerts: [issuer], certs: [cert], crls: [list] };
    const engine = new pkijs.CertificateChainValidationEngine(all);
    const { resultCode, resultMessage } = await engine.verify();
    must(resultCode === (revoked ? 12 : 0), `path: ${resultCode} ${resultMessage}`);
    if (!revoked) continue;
    const entry = list.revokedCertificates.find((one) => one.userCertificate.isEqual(cert.serialNumber));
    const reason = extension(entry.crlEntryExtensions, '2.5.29.21');
    found = reason ? `revoked ${REASONS[reason.valueBlock.valueDec]}` : 'revoked';
  }
  must(complete > 0, 'no complete list');
  return found;
}

async function main() {
  const [method, cert, issuer, ...lists] = process.argv.slice(2);
  const certs = [cert, issuer].map(certificate);
  console.log(await (method === 'ocsp' ? byOcsp(...certs) : byList(...certs, lists)));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
