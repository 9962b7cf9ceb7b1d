# shellcheck shell=bash
# Keys that only their holder can open.
. "$SUITE_DIR/lib.sh"

for_the_birth_key() {
    device BR280010 manufacturing >born.id
    key born.key
    csr born.key born.csr
    est_post born idev/simpleenroll born.csr -u "$(<born.id):$(token "$(<born.id)" idev)"
    issued born born.key
    vitae device move "$(<born.id)" deployment --reason shipped
    vitae device move "$(<born.id)" deployment --reason received --owner SUH
    wanting for-born.csr "$ASYMMETRIC_DECRYPT_KEY" \
        "$(openssl x509 -in born.pem -noout -ext subjectKeyIdentifier | sed -n '2s/[ :]//gp')"
    est_post sealed ldev/serverkeygen for-born.csr --cert born.pem --key born.key
    status_is sealed 200
    opened sealed -recip born.pem -inkey born.key
}

with_a_secret() {
    vitae transport-key add fleet-7 >secret.b64
    wanting shared.csr "$DECRYPT_KEY" "$(printf fleet-7 | od -An -tx1 | tr -d ' \n')"
    device BR280011 >shared.id
    est_post shared ldev/serverkeygen shared.csr -u "$(<shared.id):$(token "$(<shared.id)")"
    status_is shared 200
    opened shared -secretkey "$(base64 -d secret.b64 | od -An -tx1 | tr -d ' \n')" \
        -secretkeyid "$(printf fleet-7 | od -An -tx1 | tr -d ' \n')"
}

claim 6 for_the_birth_key
claim 7 with_a_secret
