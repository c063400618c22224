/** Whether anybody still waits for the answer: work that hasn't begun when the client hangs up needn't be done. */
import type { Response } from 'express';
import { ServiceError } from '../errors.js';

/** Aborts, with a ServiceError of code `client-gone`, when the connection closes before the answer was sent. */
export function signalOfClient(res: Response): AbortSignal {
  const controller = new AbortController();
  const onClose = () => {
    if (!res.writableFinished) {
      controller.abort(new ServiceError('client-gone', 'The client closed the connection.'));
    }
  };
  if (res.closed || res.destroyed) onClose();
  else res.once('close', onClose);
  return controller.signal;
}
