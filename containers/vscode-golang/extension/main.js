// Connects VS Code with gopls, which is beside Go in this image.
const { LanguageClient } = require('vscode-languageclient/node');

const client = new LanguageClient('gopls', 'Go', { command: 'gopls' }, {
  documentSelector: ['go', 'go.mod'].map((language) => ({ scheme: 'file', language })),
  // An import leads to its source here, not to a site that desktops do not reach.
  initializationOptions: { importShortcut: 'Definition' },
});

exports.activate = () => client.start();
exports.deactivate = () => client.stop();
