#!/usr/bin/env python3
"""Keeps an MQTT broker (mosquitto 2.0) in step with Vitae: whoever loses its certificate is disconnected at once.

The broker takes the common name of a client's certificate as its user name, and the guard tells the broker's dynamic
security plugin who that is. A common name stays with a device over its renewals, so the certificates that are good under it
are counted: with the last one the user goes, and with it its connection and every right. The CA's revocation list follows
a moment later and keeps it out for good. The one argument is a file of settings; README.md shows one.
"""
import glob
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import types
import urllib.request
from pathlib import Path

KINDS = "certificate-issued,certificate-revoked,certificate-held,certificate-released,crl-published"


class Guard:
    def __init__(self, settings):
        self.settings, self.last, self.good, self.lists = settings, None, {}, {}
        if os.path.exists(settings.state):
            self.last, self.good = json.loads(Path(settings.state).read_text())
        lines = ["-q", "1", "-t", "$CONTROL/dynamic-security/v1", "-l"]
        self.control = subprocess.Popen(settings.control + lines, stdin=subprocess.PIPE, text=True)

    def tell(self, *commands, **fields):
        message = {"commands": [{"command": command, **fields} for command in commands]}
        print(json.dumps(message), file=self.control.stdin, flush=True)

    def take(self, kind, data):
        if kind == "crl-published":
            return self.fetch_crl(data["shard"], data["number"])
        if data["profile"] != self.settings.profile:
            return
        name, serial = data["common_name"], data["serial"]
        good = self.good.setdefault(name, [])
        if kind in ("certificate-issued", "certificate-released"):
            good += [serial] if serial not in good else []
            self.tell("createClient", username=name, roles=[{"rolename": self.settings.role}])
        elif serial in good and len(good) == 1:
            good.remove(serial)
            self.tell("deleteClient", username=name)
        elif serial in good:
            good.remove(serial)
            if data["cause"] != "superseded":  # its device may come back with the other certificate
                self.tell("disableClient", "enableClient", username=name)

    def fetch_crl(self, shard, number):
        if self.lists.get(shard, 0) >= number:
            return
        there = 0
        while there < number:  # the event comes a moment before its list
            with urllib.request.urlopen(f"{self.settings.crls}/{shard}.crl", timeout=30) as answer:
                der = answer.read()
            pem = subprocess.run(["openssl", "crl", "-inform", "DER", "-crlnumber"], input=der, capture_output=True, check=True)
            there = int(pem.stdout.split(b"\n")[0].split(b"=")[1], 16)
            time.sleep(0.02)
        replace(f"{self.settings.crl_file}.{shard}", pem.stdout)
        shards = [Path(path).read_bytes() for path in glob.glob(f"{self.settings.crl_file}.*[0-9]")]
        replace(self.settings.crl_file, b"".join(shards))
        os.kill(int(Path(self.settings.broker_pid).read_text()), signal.SIGHUP)  # it reads the list anew
        self.lists[shard] = there

    def follow(self):
        tls = ssl.create_default_context(cafile=self.settings.trust)
        tls.load_cert_chain(self.settings.cert, self.settings.key)
        connection = http.client.HTTPSConnection(self.settings.vitae, context=tls, timeout=60)
        seen = {} if self.last is None else {"Last-Event-ID": self.last}
        connection.request("GET", f"/api/v1/events?from=0&ca={self.settings.ca}&type={KINDS}", headers=seen)
        stream = connection.getresponse()
        if stream.status != 200:
            raise SystemExit(stream.read().decode())
        for line in stream:
            field, _, value = line.decode().strip().partition(": ")
            if field == "data":
                event = json.loads(value)
                self.take(event["type"].removeprefix("vitae."), event["data"])
                self.last = event["id"]  # only now: an event that failed comes again
                replace(self.settings.state, json.dumps([self.last, self.good]).encode())


def replace(path, content):
    Path(path + ".new").write_bytes(content)
    os.replace(path + ".new", path)


guard = Guard(types.SimpleNamespace(**json.loads(Path(sys.argv[1]).read_text())))
while True:
    try:
        guard.follow()
    except (OSError, http.client.HTTPException, subprocess.CalledProcessError) as error:
        print(f"{error}: trying again", flush=True)
    time.sleep(1)
