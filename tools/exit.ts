/** The exit status of a build or a test that can't run here, because something is missing and can't be installed. It is skipped, but not in CI. */
export const notPossibleHere = 3;
