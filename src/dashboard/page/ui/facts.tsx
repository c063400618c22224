/** Names and values as a table: what is known about one thing. */
import type { ComponentChildren } from 'preact';

/** A value of null, undefined, false or '' isn't shown. */
export type Fact = readonly [name: string, value: ComponentChildren];

export function Facts({ caption, facts }: { caption: string; facts: readonly Fact[] }) {
  const known = facts.filter(
    ([, value]) => value !== null && value !== undefined && value !== '' && value !== false,
  );
  if (known.length === 0) return null;
  return (
    <table class="facts">
      <caption>{caption}</caption>
      <tbody>
        {known.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td class="text">{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
