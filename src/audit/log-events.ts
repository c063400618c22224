/** The log's lines about what was revoked. The caller's own text (`eventInfo`) is kept with the revocation, and is not in them. */
import type { Logger } from '../observability/logger.js';
import type { Act, Report } from './report.js';

export function createEventLog(log: Logger): Report {
  return function logEvent(event) {
    switch (event.what) {
      case 'revoked':
      case 'already-revoked': {
        const { id: recordId, jti, userId } = event.record;
        const what = { event: 'token.revoked', outcome: event.what, jti, recordId, userId };
        log.info({ ...what, ...logged(event.act) }, 'token revoked');
        break;
      }
      case 'scope-revoked': {
        const { userId, applicationId, sessionsOnly, everyKind } = event.cutoff;
        const scope = { userId, applicationId, sessionsOnly, ...(everyKind ? { everyKind } : {}) };
        log.info(
          { event: 'scope.revoked', ...scope, ...logged(event.act) },
          'everything of a scope revoked',
        );
        break;
      }
      case 'cutoff-lowered': {
        const { userId, applicationId } = event.cutoff;
        log.info(
          { event: 'cutoff.lowered', userId, applicationId, ...logged(event.act) },
          'a cut-off that was in the future was lowered to now',
        );
        break;
      }
      // Too many for a line each, or told by whoever asked.
      case 'issued':
      case 'marked':
      case 'refused':
      case 'learnt':
        break;
    }
  };
}

function logged({ by, reason, via, requestId }: Act): Act {
  return { by, reason, via, requestId };
}
