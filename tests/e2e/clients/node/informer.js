// An informer on config maps: prints what it is told of, changes one itself, and ends when it has seen it go.
import { CoreV1Api, KubeConfig, makeInformer, PatchStrategy, setHeaderOptions } from '@kubernetes/client-node';

const config = new KubeConfig();
config.loadFromDefault();
const api = config.makeApiClient(CoreV1Api);
const namespace = 'default';
const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () =>
  api.listNamespacedConfigMap({ namespace }),
);

const told = [];
const until = (what, holds) =>
  new Promise((resolve, reject) => {
    const began = Date.now();
    const look = () => {
      if (holds()) return resolve();
      if (Date.now() - began > 240_000) return reject(new Error(`${what}: told of ${JSON.stringify(told)}`));
      setTimeout(look, 20);
    };
    look();
  });

for (const verb of ['add', 'update', 'delete']) {
  informer.on(verb, (object) => told.push(`${verb} ${object.metadata.name} ${object.data?.value ?? ''}`.trim()));
}
informer.on('error', (problem) => {
  if (problem.type === 'aborted') return; // what stopping looks like to it
  console.error(problem);
  process.exit(1);
});

await informer.start();
const metadata = { name: 'from-node' };
await api.createNamespacedConfigMap({ namespace, body: { metadata, data: { value: 'one' } } });
await until('the creation', () => told.includes('add from-node one'));
await api.patchNamespacedConfigMap(
  { namespace, name: metadata.name, body: { data: { value: 'two' } } },
  setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
);
await until('the change', () => told.includes('update from-node two'));
await api.deleteNamespacedConfigMap({ namespace, name: metadata.name });
await until('the end', () => told.some((line) => line.startsWith('delete from-node')));
await informer.stop();
console.log(JSON.stringify(told.filter((line) => line.includes('from-node'))));
process.exit(0);
