/** The exit status of a build or a test for which this machine lacks something that can't be had here. It may be skipped, but not in CI. */
export const notPossibleHere = 3;
