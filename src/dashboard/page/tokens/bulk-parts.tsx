/** What a bulk revoke would hit, and what came of one. */
import type { WireBulkLine, WirePreview } from '../../wire.ts';
import { CloseButton } from '../ui/dialog.tsx';
import { Time } from '../ui/time.tsx';
import { counted, shortId } from './wording.ts';

export type BulkResult = Extract<WireBulkLine, { result: unknown }>['result'];

export function Hits({ preview }: { preview: WirePreview }) {
  return (
    <dl class="hits">
      <div>
        <dt>Tokens</dt>
        <dd>{preview.count.toLocaleString('en')}</dd>
      </div>
      <div>
        <dt>Users</dt>
        <dd>{preview.users.toLocaleString('en')}</dd>
      </div>
      <div>
        <dt>Applications</dt>
        <dd>{preview.applications.toLocaleString('en')}</dd>
      </div>
      <div>
        <dt>Last used</dt>
        <dd>
          <Time at={preview.lastUsedAt} never="never" />
        </dd>
      </div>
    </dl>
  );
}

export function BulkOutcome({ result, onClose }: { result: BulkResult; onClose(): void }) {
  const { revoked, alreadyRevoked, failed } = result;
  return (
    <div class="dialog-body">
      <p role="status">
        <strong>
          {counted(revoked, 'token is', 'tokens are')} refused everywhere from now on.
        </strong>
        {alreadyRevoked > 0 && <> {counted(alreadyRevoked, 'was', 'were')} revoked already.</>}
        {failed.length > 0 && <> {counted(failed.length, 'token')} could not be revoked:</>}
      </p>
      {failed.length > 0 && (
        <>
          <div class="scroll" role="region" aria-label="Failures" tabIndex={0}>
            <table class="table">
              <thead>
                <tr>
                  <th scope="col">Token</th>
                  <th scope="col">Why not</th>
                </tr>
              </thead>
              <tbody>
                {failed.map(({ _id, jti, message }) => (
                  <tr key={_id}>
                    <th scope="row" title={jti}>
                      <code>{shortId(jti)}</code>
                    </th>
                    <td class="text">{message}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <p class="hint">Those may go on working. Repeating the same revoke is safe.</p>
        </>
      )}
      <CloseButton onClose={onClose} />
    </div>
  );
}
