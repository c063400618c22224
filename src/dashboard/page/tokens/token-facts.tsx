/** A token's claims, times and device as tables, with the filters that lead from them to others like it. */
import type { ComponentChildren } from 'preact';
import type { FilterParameters, WireToken } from '../../wire.ts';
import { session } from '../api.ts';
import { type Fact, Facts } from '../ui/facts.tsx';
import { Exact } from '../ui/exact.tsx';
import { KINDS, ORIGINS } from './wording.ts';

interface TokenFactsProps {
  readonly token: WireToken;
  onFilter(filter: FilterParameters): void;
}

export function TokenFacts({ token, onFilter }: TokenFactsProps) {
  const { userId, applicationId, sessionId, device } = token;
  const ip = device?.ip ?? null;
  const filter = (text: string, by: FilterParameters): ComponentChildren => (
    <button type="button" class="button inline" onClick={() => onFilter(by)}>
      {text}
    </button>
  );
  const claims: readonly Fact[] = [
    ['Kind', KINDS[token.kind]],
    ['Origin', ORIGINS[token.origin]],
    ['Id (jti)', <code>{token.jti}</code>],
    ['Issuer (iss)', issuerOf(token)],
    ['Subject (sub)', token.subject],
    [
      'Audience (aud)',
      typeof token.audience === 'string' ? token.audience : token.audience?.join(', '),
    ],
    [
      'User',
      userId !== null && (
        <>
          {token.user !== null && (
            <>
              {token.user.name !== null && `${token.user.name}, `}
              {token.user.email}
              <br />
            </>
          )}
          <code>{userId}</code>{' '}
          {session.value?.isAdministrator === true && filter('Show all of this user', { userId })}
        </>
      ),
    ],
    [
      'Application',
      applicationId !== null && (
        <>
          {applicationId} {filter('Show all of this application', { applicationId })}
        </>
      ),
    ],
    [
      'Session (sid)',
      sessionId !== null && (
        <>
          <code>{sessionId}</code> {filter('Show all of this session', { sessionId })}
        </>
      ),
    ],
    ['Client data', token.cdata],
  ];
  const times: readonly Fact[] = [
    ['Issued', <Exact at={token.issuedAt} never="unknown" />],
    ['First used', <Exact at={token.firstUsedAt} never="never" />],
    ['Last used', <Exact at={token.lastUsedAt} never="never" />],
    ['Expires', <Exact at={token.expiresAt} never="never" />],
    ['Recorded', <Exact at={token.createdAt} />],
    ['Revoked', token.revokedAt !== null && <Exact at={token.revokedAt} />],
    [
      'Refused since',
      token.refusedCount > 0 && (
        <>
          {token.refusedCount.toLocaleString('en')} ×
          {token.lastRefusedAt !== null && (
            <>
              , last <Exact at={token.lastRefusedAt} />
            </>
          )}
        </>
      ),
    ],
  ];
  const facts: readonly Fact[] = [
    ['Device', token.deviceLabel],
    ['Name', device?.name],
    ['Type', device?.type],
    ['Description', device?.description],
    [
      'Address',
      ip !== null && (
        <>
          {ip} {filter('Show all of this address', { address: ip })}
        </>
      ),
    ],
    ['Location', device?.location],
    ['User agent', device?.userAgent && <code>{device.userAgent}</code>],
  ];
  return (
    <>
      <Facts caption="Claims" facts={claims} />
      <Facts caption="Times" facts={times} />
      <Facts caption="Device" facts={facts} />
    </>
  );
}

function issuerOf({ issuer }: WireToken): string {
  if (issuer === '') return 'none (a token without “iss”)';
  return issuer === '*' ? 'unknown: revoked before it was ever seen' : issuer;
}
