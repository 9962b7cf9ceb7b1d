# shellcheck shell=bash
# TLS 1.2: tls-exporter, and tls-unique as older clients have it; without extended master secret only what is safe then.
. "$SUITE_DIR/lib.sh"

serial=BR101002
device $serial >device.id

# enrol_on NAME VALUE: asks for a certificate of a fresh key on the connection NAME.
enrol_on() {
    key "$1.key"
    bound "$1.key" "$1.csr" "$2" "$serial"
    ask "$1" simpleenroll "$1.csr" "$(with_token "$(<device.id)")"
}

# s_client has no option for it, the configuration of the library has.
cat >no-ems.conf <<'CONF'
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
Options = -ExtendedMasterSecret
CONF
without_ems() {
    OPENSSL_CONF=$PWD/no-ems.conf dial "$@"
    has "$1.out" '^ *Extended master secret: no'
}

exported() {
    dial exported -tls1_2
    has exported.out '^ *Extended master secret: yes'
    enrol_on exported "$(<exported.exporter)"
    issued exported exported.key
}

unique() {
    dial unique -tls1_2 -sess_out session.pem
    dial stranger -tls1_2
    equal "$(wc -c <unique.unique)" 16
    has unique.msg '>>> TLS 1.2, .*Finished'
    enrol_on stranger "$(<unique.unique)"
    refused stranger 400 'does not link'
    enrol_on unique "$(<unique.unique)"
    issued unique unique.key
}

unique_resumed() {
    dial resumed -tls1_2 -sess_in session.pem
    resumed resumed
    # The server's comes first now.
    grep -m 1 'Finished' resumed.msg | has /dev/stdin '^<<< '
    enrol_on resumed "$(<resumed.unique)"
    issued resumed resumed.key
}

plain_full() {
    without_ems plain -tls1_2 -sess_out plain-session.pem
    enrol_on plain "$(<plain.exporter)"
    refused plain 400 'does not link'
    without_ems again -tls1_2
    enrol_on again "$(<again.unique)"
    issued again again.key
}

plain_resumed() {
    without_ems tied -tls1_2 -sess_in plain-session.pem
    resumed tied
    enrol_on tied "$(<tied.unique)"
    refused tied 400 'no value that could be relied on'
}

claim 6 exported
claim 7 unique
claim 8 unique_resumed
claim 9 plain_full
claim 10 plain_resumed
