/** A series that is dragged from the list into a pane. */

export const SERIES_TYPE = "application/x-sinogram-series";
