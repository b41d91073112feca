// JupyterLab's Launcher shows our notebooks, and an empty workspace opens the first of them as a notebook.
//
// This is a module federation container written by hand: `init` receives what JupyterLab shares, `get` gives the plugin.
// It needs no build, and no package beside the two tokens that it asks JupyterLab for.
(() => {
  const START = '00_start_here.py';
  const FOLDERS = ['', 'explore', 'reports'];
  const FACTORY = 'Jupytext Notebook'; // a .py file as a notebook, by the extension of jupytext
  const OPEN = 'gaugebook:open';
  const PATIENCE_MS = 20000;
  const ICON =
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="none" stroke-linecap="round" stroke-width="3">' +
    '<path stroke="#767676" d="M4 25a12 12 0 1 1 24 0"/><path stroke="#0072b2" d="M16 25l6-10"/></g></svg>';
  let shared;

  /** The module that JupyterLab shares under a name. */
  const module = async name => {
    const versions = Object.values(shared[name]);
    return (await (versions.find(one => one.loaded) || versions[0]).get())();
  };

  /** What a file is called for people: `cost_deep_dive.py` is Cost deep dive. */
  const titled = file => {
    const words = file.replace(/^\d+_|\.py$/g, '').replaceAll('_', ' ').replace(/\bllm\b/g, 'LLM');
    return words[0].toUpperCase() + words.slice(1);
  };

  const notebooks = async (contents, folder) => {
    const listed = await contents.get(folder).catch(() => ({ content: [] })); // not every root has our folders
    return listed.content.filter(file => file.path.endsWith('.py')).map(file => file.path).sort();
  };

  const until = async found => {
    for (const end = Date.now() + PATIENCE_MS; !found() && Date.now() < end; ) {
      await new Promise(resolve => setTimeout(resolve, 50));
    }
    return found();
  };

  const plugin = async () => {
    const { ILauncher } = await module('@jupyterlab/launcher');
    const { LabIcon } = await module('@jupyterlab/ui-components');
    const icon = new LabIcon({ name: 'gaugebook:gauge', svgstr: ICON });
    return {
      id: 'gaugebook:launcher',
      description: 'The notebooks of Gaugebook.',
      autoStart: true,
      optional: [ILauncher],
      activate: (app, launcher) => {
        const open = async path => {
          const known = await until(() => app.docRegistry.getWidgetFactory(FACTORY));
          return app.commands.execute('docmanager:open', known ? { path, factory: FACTORY } : { path });
        };
        app.commands.addCommand(OPEN, {
          label: args => titled((args.path || START).split('/').pop()),
          caption: args => `Open ${args.path || START} as a notebook`,
          icon: args => (args.isPalette ? undefined : icon),
          execute: args => open(args.path || START)
        });
        // Not awaited: the page is drawn meanwhile.
        app.restored.then(async () => {
          const listed = await Promise.all(FOLDERS.map(folder => notebooks(app.serviceManager.contents, folder)));
          listed.flat().forEach((path, rank) => {
            const category = path.startsWith('reports/') ? 'Gaugebook: reports' : 'Gaugebook';
            launcher?.add({ command: OPEN, args: { path }, category, rank });
          });
          const open_ = [...app.shell.widgets('main')].filter(widget => !widget.id.startsWith('launcher'));
          if (!open_.length && listed[0].includes(START)) {
            await open(START);
          }
        });
      }
    };
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB.gaugebook = {
    init: scope => {
      shared = scope;
    },
    get: async () => {
      const made = await plugin();
      return () => ({ __esModule: true, default: made });
    }
  };
})();
