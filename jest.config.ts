/** @jest-config-loader esbuild-register */
import type { Config } from 'jest';

const config: Config = {
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  globalSetup: '<rootDir>/test/support/engine-setup.mjs',
  globalTeardown: '<rootDir>/test/support/engine-teardown.mjs',
  testSequencer: '<rootDir>/test/support/longest-first.mjs',
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  coverageProvider: 'babel',
  collectCoverageFrom: ['src/**/*.ts'],
  // Only for what would never end: machines differ, and may have much else to do.
  testTimeout: 300_000,
};

export default config;
