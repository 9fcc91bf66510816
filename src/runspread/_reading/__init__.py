"""The reading room: what users have (arrays, files, studies) becomes what methods take, said once for all."""
