/** The one question about a presented token or API key, whichever path asks it. */
import type { Device } from '../store/records.js';
import type { CheckToken } from '../tokens/token-check.js';
import type { Verification } from '../tokens/verifier.js';
import type { ApiKeys } from './api-keys.js';
import type { Credentials } from './credentials.js';

/** null = neither a token nor an API key was presented. */
export type CheckCredentials = (
  credentials: Credentials,
  device: () => Device,
) => Verification | Promise<Verification> | null;

export function createCredentialsCheck(
  checkToken: CheckToken,
  apiKeys: Pick<ApiKeys, 'check'>,
): CheckCredentials {
  return function checkCredentials(credentials, device) {
    switch (credentials.scheme) {
      case 'token':
        return checkToken(credentials.token, device);
      case 'api-key':
        return apiKeys.check(credentials.key, device);
      case 'basic':
      case 'none':
      case 'malformed':
        return null;
    }
  };
}
