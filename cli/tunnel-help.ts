/**
 * Owns: the help of `statewire tunnel`. Independent of: everything else.
 */
export const tunnelHelp = `statewire tunnel expose TARGET --name NAME --allow ID [--allow ID ...] [--proxy-protocol] NETWORK

  Lets peers connect to TARGET (HOST:PORT or unix:PATH) under a name, until Ctrl-C.

  --name NAME        what openers call it
  --allow ID         a peer that may connect; several times for several; all for every peer of the network
  --proxy-protocol   send the PROXY protocol (version 2) header, which tells TARGET the address of the client

statewire tunnel open PEER/NAME [--listen ADDRESS | --stdio] NETWORK

  Listens at ADDRESS, and connects each client to the tunnel NAME of the peer, until Ctrl-C.

  --listen ADDRESS   HOST:PORT, :PORT or unix:PATH; a free port of 127.0.0.1 by default, which is printed
  --stdio            do not listen: connect standard input and output, for example as a ProxyCommand of ssh;
                     messages go to standard error

statewire tunnel run --config FILE

  Runs all tunnels of the list tunnels in FILE. statewire peer does so as well.
  {"tunnels": [{"expose": "127.0.0.1:5432", "name": "db", "allow": ["ID"]}, {"open": "PEER/web", "listen": ":8080"}]}

statewire tunnel ps [--watch] [--json] [--attach SOCKET|PID | --config FILE]
statewire tunnel kill ID [--reason TEXT] [--attach SOCKET|PID | --config FILE]

  Shows the tunnels of a running peer and their connections, or resets a connection at both ends. The peer is named by
  its control socket, its process id or its configuration; the only one of this user needs no name.

  --watch            show them until Ctrl-C: a table in a terminal, otherwise a line for each connection every second
  --json             print JSON; with --watch, a line for each connection every second
  --reason TEXT      is logged at both ends

  NETWORK is one of:
  --config FILE      as of statewire peer
  --key FILE         the key of this side, with
    --peer ID[@URL]  a peer, and where to dial it; several times for several peers. Peers of --allow need no --peer
    --listen-peer URL  where peers dial this side, such as tls://0.0.0.0:15600

  --attach SOCKET|PID  the network of a running peer; the tunnel ends with this command

  --json             print events as JSON lines, and nothing else
  --verbose          print every event
`
