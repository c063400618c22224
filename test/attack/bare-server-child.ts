/** The process of a server that does nothing: how long it takes to answer during an attack on another is the machine's doing. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { endWithParent, send } from '../../bench/children.js';

const server = createServer((_req, res) => res.writeHead(204).end());
server.listen(0, '127.0.0.1');
await once(server, 'listening');
send(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
endWithParent();
