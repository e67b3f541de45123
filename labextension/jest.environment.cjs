// A document, with the network of Node: the tests talk to real servers.
const { TestEnvironment } = require('jest-environment-jsdom');

module.exports = class extends TestEnvironment {
  async setup() {
    await super.setup();
    const names = [
      'fetch',
      'Request',
      'Response',
      'Headers',
      'TextEncoder',
      'TextDecoder',
      'structuredClone'
    ];
    Object.assign(this.global, Object.fromEntries(names.map(name => [name, globalThis[name]])));
  }
};
