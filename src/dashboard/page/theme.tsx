/** Light, dark, or as the system has it. */
import { effect } from '@preact/signals';
import { isOneOf, stored } from './ui/stored.ts';

const THEMES = ['auto', 'light', 'dark'] as const;
const theme = stored<(typeof THEMES)[number]>('theme', 'auto', isOneOf(...THEMES));

effect(() => {
  if (theme.value === 'auto') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme.value;
});

export function ThemeChoice() {
  return (
    <select
      aria-label="Theme"
      value={theme.value}
      onChange={(event) => {
        theme.value = THEMES.find((each) => each === event.currentTarget.value) ?? 'auto';
      }}
    >
      <option value="auto">Auto</option>
      <option value="light">Light</option>
      <option value="dark">Dark</option>
    </select>
  );
}
