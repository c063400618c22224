/** The sign of life that a running engine is asked for. */
import { expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { PING } from '../../../src/store/embedded/engine-watch.js';

it('is the message that the driver would send', () => {
  const body = Buffer.from(mongoose.mongo.BSON.serialize({ ping: 1, $db: 'admin' }));
  const [length, requestId, responseTo, opcode, flags] = [0, 4, 8, 12, 16].map((at) =>
    PING.readInt32LE(at),
  );
  expect([length, requestId, responseTo, opcode, flags]).toEqual([PING.length, 1, 0, 2013, 0]);
  expect(PING.readUInt8(20)).toBe(0);
  expect(PING.subarray(21).toString('hex')).toBe(body.toString('hex'));
});
