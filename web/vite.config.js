import { defineConfig } from 'vite';

/**
 * GraphiQL's style sheet has Monaco's styles in it already, and fonts for seven scripts as data. Monaco's own copy and
 * the fonts for other scripts than Latin would be half a megabyte; the browser's fonts show those scripts as well.
 */
const leanStyles = {
  name: 'lean-styles',
  enforce: 'pre',
  transform(code, id) {
    if (/\/monaco-editor\/esm\/.*\.css$/.test(id)) return '';
    if (!/\/graphiql\/dist\/style\.css$/.test(id)) return null;
    return code.replace(/@font-face\s*\{[^}]*unicode-range:(?!\s*U\+0000-)[^}]*\}/g, '');
  },
};

export default defineConfig({
  base: '/graphiql/',
  plugins: [leanStyles],
  worker: { format: 'es' },
  build: {
    outDir: 'dist/graphiql',
    target: 'es2022',
    // The editor is that large, and is loaded once.
    chunkSizeWarningLimit: 2048,
    // The licences of what is bundled ask to come along with it.
    license: { fileName: 'licenses.md' },
    // Libraries mark their files for servers ("use client"), which says nothing in a page.
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
});
