# Objects as R itself writes them: Rscript tests/ingest/objects.R COUNTS FOLDER
# COUNTS is a table of genes x cells; every file in FOLDER holds these counts, cells of two patients in turn.
# The files in tests/ingest/objects were written so by R 4.2.2 with Seurat 4.3.0 and SingleCellExperiment 1.20.0.
suppressMessages({library(Seurat); library(SingleCellExperiment)})
given <- commandArgs(TRUE)
dense <- as.matrix(read.delim(given[1], row.names = 1, check.names = FALSE))
dir.create(given[2], showWarnings = FALSE)
setwd(given[2])
storage.mode(dense) <- "integer"
counts <- as(dense, "CsparseMatrix")
cells <- data.frame(
  row.names = colnames(counts), Patient = rep(c("P1", "P2"), length.out = ncol(counts)),
  kind = factor(c(NA, rep("tumour", ncol(counts) - 1))), age = c(NA, rep(63.5, ncol(counts) - 1)),
  day = as.Date("2020-02-28") + seq_len(ncol(counts)), treated = c(NA, rep(TRUE, ncol(counts) - 1))
)
quiet <- suppressWarnings

# Seurat: steps are kept with their arguments, functions among them.
plain <- quiet(CreateSeuratObject(counts, meta.data = cells))
processed <- FindVariableFeatures(NormalizeData(plain, verbose = FALSE), selection.method = "mvp", verbose = FALSE)
saveRDS(processed, "seurat_processed.rds", compress = "xz")
saveRDS(plain, "seurat_version2.rds", version = 2)
saveRDS(plain, "seurat_bzip2.rds", compress = "bzip2")
saveRDS(plain, "seurat_unpacked.rds", compress = FALSE)
saveRDS(list(only = plain), "list_of_one.rds")
antibodies <- matrix(5, 2, ncol(counts), dimnames = list(c("CD3", "CD4"), colnames(counts)))
plain[["ADT"]] <- quiet(CreateAssayObject(antibodies))
plain[["integrated"]] <- CreateAssayObject(data = GetAssayData(processed, slot = "data")[1:5, ])
for (assay in c("ADT", "integrated")) {
  DefaultAssay(plain) <- assay
  saveRDS(plain, paste0("seurat_", assay, ".rds"))
}
saveRDS(DietSeurat(processed, counts = TRUE), "seurat_diet.rds")
processed@misc <- list(
  plot = ggplot2::ggplot(cells, ggplot2::aes(age, kind)) + ggplot2::geom_point(),
  deep = Reduce(function(a, b) call("+", a, b), 1:400), pointer = new.env(), i = 1:9,
  compiled = compiler::cmpfun(function(a) tryCatch(switch(a, x = 1, 2), error = function(e) a)),
  text = as.character(1:9)
)
saveRDS(processed, "seurat_misc.rds", compress = "xz")

# Seurat 2: the slots that its successors take over; cells that were filtered out stay in raw.data.
setClass("seurat", slots = list(
  raw.data = "ANY", data = "ANY", scale.data = "ANY", var.genes = "character", ident = "factor",
  meta.data = "data.frame", project.name = "character", dr = "list", assay = "list",
  hvg.info = "data.frame", cell.names = "character", misc = "ANY", version = "ANY"
))
old <- new(
  "seurat", raw.data = cbind(filtered = counts[, 1], counts), data = log1p(counts), ident = Idents(plain),
  meta.data = cells, project.name = "old", cell.names = colnames(counts), version = package_version("2.3.4")
)
stopifnot(identical(GetAssayData(UpdateSeuratObject(old), slot = "counts"), counts))
saveRDS(old, "seurat2.rds", version = 2)

# SingleCellExperiment: with runs, tables and lists among the columns, with other experiments, without names.
experiment <- SingleCellExperiment(list(logcounts = log1p(counts), counts = counts), colData = cells)
experiment$run <- S4Vectors::Rle(1:2, c(2, ncol(counts) - 2))
experiment$inner <- DataFrame(a = seq_len(ncol(counts)))
experiment$list <- as.list(seq_len(ncol(counts)))
altExp(experiment, "ADT") <- SummarizedExperiment(list(counts = antibodies))
saveRDS(experiment, "experiment.rds", compress = "xz")
assay(experiment, "counts", withDimnames = FALSE) <- unname(counts)
saveRDS(experiment, "experiment_names_apart.rds", version = 2)
saveRDS(SingleCellExperiment(list(X = dense)), "experiment_X.rds")
both <- rbind(counts, antibodies)
unnamed <- SingleCellExperiment(list(counts = both), colData = DataFrame(Barcode = colnames(counts)))
colnames(unnamed) <- NULL
rowData(unnamed)$Type <- rep(c("Gene Expression", "Antibody Capture"), c(nrow(counts), 2))
saveRDS(unnamed, "experiment_droplets.rds")

# Matrices and tables.
for (kind in c("CsparseMatrix", "RsparseMatrix", "TsparseMatrix")) saveRDS(as(counts, kind), paste0(kind, ".rds"))
saveRDS(as(as(dense * 1.0, "denseMatrix"), "generalMatrix"), "dgeMatrix.rds")
saveRDS(dense, "matrix.rds")
saveRDS(as.data.frame(dense), "table.rds")
saveRDS(data.frame(gene = factor(rownames(dense)), dense, check.names = FALSE, row.names = NULL), "table_factor.rds")

# Workspaces: beside the counts what holds none.
save(counts, cells, file = "workspace.RData", compress = "xz")
save(counts, file = "workspace2.rda", version = 2)
save(experiment, file = "workspace.Robj", compress = FALSE)
