// How long a replica that ends goes on. deploy/components/admission allows more.

/** Milliseconds for which a replica that ends still serves: API servers learn of the others by an EndpointSlice. */
export const linger = 5000;
