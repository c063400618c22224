/** The files for several instances (compose, Kubernetes): that they are well formed, and agree with the configuration and each other. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { parseConfig } from '../../src/config/config.js';
import { variables } from '../../src/config/variables.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (name: string) => readFileSync(`${ROOT}/${name}`, 'utf8');

const manifests = readdirSync(`${ROOT}/docs/kubernetes`)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => `docs/kubernetes/${name}`);
const COMPOSE = 'docs/deploy/docker-compose.yml';

const READABLE = new Set(
  Object.entries<{ secret?: true }>(variables).flatMap(([name, { secret }]) =>
    secret ? [name, `${name}_FILE`] : [name],
  ),
);
/** Longer than everything that a stop may take, in seconds: see main.ts. */
const STOP_WITHIN = 22;

const hasYaml = spawnSync('python3', ['-c', 'import yaml']).status === 0;
if (!hasYaml) {
  process.stderr.write(
    'SKIPPED a part of test/process/deploy-files.test.ts: no python3 with yaml here to read it (Debian: apt-get install python3-yaml)\n',
  );
}
const itWithYaml = hasYaml ? it : it.skip;

/** The documents of a YAML file. */
function parsed(name: string): unknown[] {
  const code =
    'import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin.read()))))';
  const { status, stdout, stderr } = spawnSync('python3', ['-c', code], {
    input: read(name),
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
  return JSON.parse(stdout) as unknown[];
}

describe.each([COMPOSE, ...manifests])('%s', (name) => {
  it('says first what it is for, and names only variables that the service reads', () => {
    expect(read(name)).toMatch(/^# [A-Zk]/);
    const named = [
      ...read(name).matchAll(/^ +(?:- name: )?([A-Z][A-Z0-9]*_[A-Z0-9_]*|PORT|HOST)\b:?/gm),
    ].map(([, variable = '']) => variable);
    expect(named.filter((variable) => !READABLE.has(variable))).toEqual([]);
    expect(named.length > 0).toBe(/compose|configmap|deployment/.test(name));
  });

  itWithYaml('is YAML', () => {
    const documents = parsed(name);
    expect(documents).toHaveLength(1);
    expect(documents[0]).toEqual(expect.objectContaining({}));
  });
});

describe('the compose file of several instances', () => {
  const text = read(COMPOSE);

  it('passes the linter', () => {
    const linter = ['node_modules/dclint/bin/dclint.cjs', '--max-warnings', '0', COMPOSE];
    const { status, stdout } = spawnSync(process.execPath, linter, { cwd: ROOT, encoding: 'utf8' });
    expect([status, stdout]).toEqual([0, expect.not.stringMatching(/error|warning/)]);
  });

  it('takes every secret from a file that README makes, and publishes only nginx', () => {
    const secrets = [...text.matchAll(/^ +file: \.\/secrets\/(.+)$/gm)].map(([, file]) => file);
    expect(secrets).toHaveLength(6);
    for (const secret of secrets) expect(read('docs/deploy/README.md')).toContain(`> ${secret}\n`);
    expect(read('.gitignore')).toContain('docs/deploy/secrets/');
    expect(text.match(/^ +ports:$/gm)).toHaveLength(1);
    expect(text).toMatch(/^ {2}nginx:\n(?: {4}.*\n)+? {4}ports:$/m);
    expect(text).not.toMatch(/PASSWORD: |SECRET: |URI: /);
  });

  it('asks for the health as the other one does', () => {
    const checkOf = (name: string) =>
      / {4}healthcheck:\n(?: {6}.*\n)*? {8}- fetch.*/.exec(read(name));
    expect(checkOf(COMPOSE)?.[0]).toContain('/readyz');
    expect(checkOf(COMPOSE)?.[0]).toBe(checkOf('docker-compose.yml')?.[0]);
  });

  itWithYaml('has three instances, three members, and an order', () => {
    const [{ services }] = parsed(COMPOSE) as [
      { services: Record<string, Record<string, unknown>> },
    ];
    expect(Object.keys(services).toSorted()).toEqual([
      'jwt-history',
      'mongodb-1',
      'mongodb-2',
      'mongodb-3',
      'mongodb-init',
      'nginx',
    ]);
    expect(services['jwt-history']).toMatchObject({
      deploy: { replicas: 3 },
      depends_on: { 'mongodb-init': { condition: 'service_completed_successfully' } },
    });
    for (const service of Object.values(services)) {
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
    }
    for (const number of [1, 2, 3]) {
      expect(services[`mongodb-${number}`]).toMatchObject({
        hostname: `mongodb-${number}`,
        command: expect.arrayContaining(['--replSet', '--keyFile']),
        volumes: [`mongodb-${number}:/data/db`],
        healthcheck: expect.objectContaining({ test: expect.anything() }),
      });
    }
  });
});

describe('the Kubernetes manifests', () => {
  const deployment = read('docs/kubernetes/deployment.yaml');
  const settings = Object.fromEntries(
    [...read('docs/kubernetes/configmap.yaml').matchAll(/^ {2}([A-Z_]+): '?([^'\n]+)'?$/gm)].map(
      ([, name = '', value = '']) => [name, value],
    ),
  );

  it('give settings that can be used', () => {
    const secret = { GLOBAL_SECRET: 'sE-tVyj-KSbygTxgV_NM2WZ8JucICAcuz2nmTBHGb8BX' };
    const { settings: used } = parseConfig({ ...settings, ...secret });
    expect(Object.keys(used)).toEqual(expect.arrayContaining(Object.keys(settings)));
    expect(Object.keys(settings).length).toBeGreaterThan(2);
  });

  it('wait longer than a stop may take', () => {
    const { shutdownDelayMs } = parseConfig(settings);
    const grace = Number(/terminationGracePeriodSeconds: (\d+)/.exec(deployment)?.[1]);
    expect(shutdownDelayMs).toBeGreaterThan(0);
    expect(grace).toBeGreaterThan(shutdownDelayMs / 1000 + STOP_WITHIN);
    for (const name of ['docker-compose.yml', COMPOSE]) {
      const given = Number(/stop_grace_period: (\d+)s/.exec(read(name))?.[1]);
      expect(given).toBeGreaterThan(parseConfig({}).shutdownDelayMs / 1000 + STOP_WITHIN);
    }
  });

  it('ask /readyz for traffic, and never for life', () => {
    const pathOf = (probe: string) =>
      new RegExp(`${probe}:\\n +httpGet:\\n +path: (\\S+)`).exec(deployment)?.[1];
    expect(['startupProbe', 'readinessProbe', 'livenessProbe'].map(pathOf)).toEqual([
      '/readyz',
      '/readyz',
      '/healthz',
    ]);
  });

  it('give no rights, and mount each secret that a variable names', () => {
    for (const line of [
      'runAsNonRoot: true',
      'readOnlyRootFilesystem: true',
      'allowPrivilegeEscalation: false',
      'automountServiceAccountToken: false',
    ])
      expect(deployment).toContain(line);
    const mount = /mountPath: (\/run\/secrets\S*)/.exec(deployment)?.[1] ?? '';
    const files = [...deployment.matchAll(/name: [A-Z_]+_FILE\n +value: (\S+)/g)];
    expect(files).toHaveLength(3);
    for (const [, file = ''] of files) {
      const key = file.replace(`${mount}/`, '');
      expect(read('docs/kubernetes/secret.example.yaml')).toMatch(new RegExp(`^  ${key}: `, 'm'));
      expect(read('docs/kubernetes/README.md')).toContain(`--from-literal=${key}=`);
    }
  });

  it('are all applied, but for the example of a Secret, with which nothing starts', () => {
    const listed = [...read('docs/kubernetes/kustomization.yaml').matchAll(/^ {2}- (.+)$/gm)];
    expect(listed.map(([, name = '']) => `docs/kubernetes/${name}`).toSorted()).toEqual(
      manifests.filter((name) => !/kustomization|secret/.test(name)).toSorted(),
    );
    const example = /^ {2}global-secret: (.+)$/m.exec(read('docs/kubernetes/secret.example.yaml'));
    expect(() => parseConfig({ GLOBAL_SECRET: example?.[1] })).toThrow('GLOBAL_SECRET');
  });
});
