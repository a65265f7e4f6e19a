import { defineConfig } from 'vite';

/**
 * Drops styles that the page does not need, half a megabyte in all. GraphiQL's style sheet already contains Monaco's
 * styles, and embeds fonts for seven scripts; the browser's own fonts serve for all scripts but Latin.
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
    // The editor alone is larger than the default limit, and is loaded once.
    chunkSizeWarningLimit: 2048,
    // The licences of bundled packages require that their text is distributed along with the code.
    license: { fileName: 'licenses.md' },
    // Libraries mark files with "use client" for server-side rendering, which has no meaning in a page.
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
});
