"""The page at ``/`` of the lab's switch."""

from __future__ import annotations

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>plivo-nb lab</title>
<style>body {{ font: 16px/1.5 sans-serif; max-width: 40em; margin: 3em auto; padding: 0 1em }}
pre {{ background: #f2f2f2; padding: 1em; overflow: auto }}</style>
<h1>An embedded Plivo, for learning</h1>
<p>This is the lab of <code>plivo-nb</code>: a SIP switch with robots to call.
It serves this machine only.</p>
<p>From a notebook:</p>
<pre>client = Client(registrationDomainSocket=["{url}"], loopbackCandidates=True)
await client.login("alice", "alice-secret")
call = await client.call("echo")</pre>
<p>From Plivo's Browser SDK, in a page on this machine:</p>
<pre>const plivo = new Plivo({{ registrationDomainSocket: ["{url}"] }});
plivo.client.login("bob", "bob-secret");</pre>
<p>Accounts: alice, bob, carol and more as the lab was started, each with the password NAME-secret.
The robots and the network's knobs are described in <code>help(plivo_nb.lab.Lab)</code>.</p>
</html>
"""
