/** MongoDB's wire protocol, as far as a proxy needs it: where a message ends, which command it is, and how to answer in the server's place. */
import mongoose from 'mongoose';

const { BSON } = mongoose.mongo;
const OP_MSG = 2013;
const HEADER_BYTES = 16;
/** Flags and the kind of the first section. */
const BEFORE_BODY_BYTES = HEADER_BYTES + 5;
const WRITES: ReadonlySet<string> = new Set([
  'insert',
  'update',
  'delete',
  'findAndModify',
  'findandmodify',
]);

export const requestIdOf = (message: Buffer) => message.readInt32LE(4);
export const responseToOf = (message: Buffer) => message.readInt32LE(8);

/** Hands on whole messages, however they arrive. */
export function createSplitter(onMessage: (message: Buffer) => void): (chunk: Buffer) => void {
  let waiting: Buffer = Buffer.alloc(0);
  return (chunk) => {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
    while (waiting.length >= HEADER_BYTES) {
      const length = waiting.readInt32LE(0);
      if (waiting.length < length) return;
      const message = waiting.subarray(0, length);
      waiting = waiting.subarray(length);
      onMessage(message);
    }
  };
}

/** Whether the request writes; the name of a command is the first key of its body. */
export function isWrite(message: Buffer): boolean {
  if (message.readInt32LE(12) !== OP_MSG || message[BEFORE_BODY_BYTES - 1] !== 0) return false;
  const nameAt = BEFORE_BODY_BYTES + 5;
  const end = message.indexOf(0, nameAt);
  return end > nameAt && WRITES.has(message.toString('latin1', nameAt, end));
}

/** As the server would refuse this request. */
export function refusalOf(request: Buffer, code: number, codeName: string): Buffer {
  return reply(requestIdOf(request), { ok: 0, code, codeName, errmsg: codeName });
}

/** The same answer, and that nobody knows whether the write stays. */
export function withWriteConcernError(answer: Buffer, code: number, codeName: string): Buffer {
  const body = BSON.deserialize(answer.subarray(BEFORE_BODY_BYTES), { promoteValues: false });
  const writeConcernError = { code, codeName, errmsg: codeName, errInfo: {} };
  return reply(responseToOf(answer), { ...body, writeConcernError });
}

function reply(responseTo: number, body: object): Buffer {
  const document = BSON.serialize(body);
  const message = Buffer.alloc(BEFORE_BODY_BYTES + document.length);
  message.writeInt32LE(message.length, 0);
  message.writeInt32LE(responseTo, 8);
  message.writeInt32LE(OP_MSG, 12);
  message.set(document, BEFORE_BODY_BYTES);
  return message;
}
