/** What another program gets that imports this package: one instance of the service inside its own process. */
export { type Config, ConfigError, parseConfig } from './config/config.js';
export { createLogger, type Logger } from './observability/logger.js';
export { type Instance, start } from './start.js';
