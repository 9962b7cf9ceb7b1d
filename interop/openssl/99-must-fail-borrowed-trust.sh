# shellcheck shell=bash
# Renewals that look right and must be refused. Each is first seen to work with the real thing.
. "$SUITE_DIR/lib.sh"

enrol BR100099 real
key next.key
csr_like real.pem next.key next.csr

# renew OUT S_CLIENT-ARGUMENTS...
renew() {
    local out=$1
    shift
    post "$out" simplereenroll next.csr '' "$@"
    issued "$out" next.key
}

# The same issuer name, subject, serial and times, under a key that nobody vouches for.
key forged-ca.key
openssl req -x509 -new -key forged-ca.key -subj "$(subject_of "$(issuer_file real.pem)")" -days 10 -out forged-ca.pem
key forged.key
csr_like real.pem forged.key forged.csr
openssl x509 -req -inform DER -in forged.csr -CA forged-ca.pem -CAkey forged-ca.key -set_serial "0x$(serial_of real.pem)" \
    -days 5 -copy_extensions copyall -out forged.pem 2>forged.txt
equal "$(serial_of forged.pem)" "$(serial_of real.pem)"

not_ours() {
    # Stopped in the handshake or by an answer: either names the certificate.
    cat forged.status forged.err forged.body >forged.said
    has forged.said 'alert (unknown ca|bad certificate|certificate unknown|access denied|decrypt error)|not issued by this authority'
}

must_fail 42 not_ours renew forged -cert forged.pem -key forged.key

# The record must decide on every request, not the handshake that once was. The attack shows no certificate, so an
# answer about a certificate proves that the session was resumed.
for version in tls1_2 tls1_3; do
    renew "first-$version" -cert real.pem -key real.key "-$version" -sess_out "session-$version.pem"
done
vitae revoke "$(serial_of real.pem)" --reason cessation-of-operation >revoke.txt
key next.key
csr_like real.pem next.key next.csr

revoked() {
    status_is "resumed-$version" 403
    has "resumed-$version.body" 'certificate is revoked'
}

version=tls1_2
must_fail 43 revoked renew resumed-tls1_2 -tls1_2 -sess_in session-tls1_2.pem
version=tls1_3
must_fail 44 revoked renew resumed-tls1_3 -tls1_3 -sess_in session-tls1_3.pem
