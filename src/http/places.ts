/** Places for answers that stay open long: so many in all and for each holder, the last ones for administrators who have few. */
import { ServiceError } from '../errors.js';

export interface Places {
  /**
   * Takes a place; the function that is returned gives it back, once, however often it is called.
   * @throws ServiceError 429 when the holder has too many, or nothing is left.
   */
  take(holder: string, isAdministrator: boolean): () => void;
}

interface Options {
  /** What is opened, in the plural, as a caller would call it. */
  readonly what: string;
  readonly inAll: number;
  /** Of all, so many are only for administrators who have fewer than two. */
  readonly reserved: number;
  readonly ofUser: number;
  readonly ofAdministrator: number;
  readonly retryAfterSeconds: number;
}

const FEW = 2;

export function createPlaces(options: Options): Places {
  const { what, inAll, reserved } = options;
  const open = new Map<string, number>();
  let total = 0;

  function refusal(message: string): ServiceError {
    return new ServiceError('too-many-requests', message, {
      headers: { 'Retry-After': String(options.retryAfterSeconds) },
    });
  }

  function change(holder: string, by: 1 | -1): void {
    total += by;
    const ofHolder = (open.get(holder) ?? 0) + by;
    if (ofHolder === 0) open.delete(holder);
    else open.set(holder, ofHolder);
  }

  return {
    take(holder, isAdministrator) {
      const ofHolder = open.get(holder) ?? 0;
      const most = isAdministrator ? options.ofAdministrator : options.ofUser;
      if (ofHolder >= most) {
        throw refusal(
          `You have ${most} ${what} open, and more are not possible at once. End one, or wait until one has ended.`,
        );
      }
      const room = isAdministrator && ofHolder < FEW ? inAll : inAll - reserved;
      if (total >= room) {
        throw refusal(
          `There are too many ${what} now. Try again in ${options.retryAfterSeconds} s.`,
        );
      }
      change(holder, 1);
      let isTaken = true;
      return () => {
        if (isTaken) change(holder, -1);
        isTaken = false;
      };
    },
  };
}
