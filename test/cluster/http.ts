/** Asks an instance, and takes the times by the clock of this process. */
import { Agent, request } from 'node:http';

export interface Answer {
  /** 0 = none. */
  readonly status: number;
  readonly text: string;
  /** `Revocation-Propagation`: how many instances it was waited for, and how long; '' = not said. */
  readonly propagation: string;
  /** Before the request was sent, and after its answer was here; ms of `performance.now()`. */
  readonly start: number;
  readonly end: number;
}

export interface Asked {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** The value of the `Authorization` header. */
  readonly authorization?: string;
  readonly body?: object;
}

/** Longer than any instance is stopped: what it answers when it goes on is what counts. */
const ANSWER_WITHIN_MS = 12_000;

export interface HttpClient {
  /** Never rejects. */
  ask(port: number, asked: Asked): Promise<Answer>;
  close(): void;
}

export function createHttpClient(): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 128 });
  return {
    ask(port, { method = 'GET', path, authorization, body }) {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const headers = {
        ...(authorization === undefined ? {} : { authorization }),
        ...(text === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
      };
      const start = performance.now();
      return new Promise((resolve) => {
        const finish = (status: number, answer = '', propagation = '') =>
          resolve({ status, text: answer, propagation, start, end: performance.now() });
        const sent = request({ host: '127.0.0.1', port, agent, method, path, headers }, (res) => {
          const parts: Buffer[] = [];
          res.on('data', (part: Buffer) => parts.push(part));
          res.on('error', () => finish(0));
          res.on('end', () => {
            const { 'revocation-propagation': propagation } = res.headers;
            finish(res.statusCode ?? 0, Buffer.concat(parts).toString(), String(propagation ?? ''));
          });
        });
        sent.setTimeout(ANSWER_WITHIN_MS, () => sent.destroy(new Error('no answer')));
        sent.on('error', () => finish(0));
        sent.end(text);
      });
    },
    close: () => agent.destroy(),
  };
}

export const isOk = ({ status }: Answer) => status >= 200 && status < 300;
