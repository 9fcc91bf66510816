"""One number per run, from tables: columns, cells, units and directions become arms. Knows no method."""
