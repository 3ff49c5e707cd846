// The four names of the Kubernetes client that we use. The bundler leaves out the other hundreds; imported as a whole, the client takes
// 4 MB of code and twice the memory.
export { CoreV1Api, KubeConfig, ListWatch, Watch } from '@kubernetes/client-node';
