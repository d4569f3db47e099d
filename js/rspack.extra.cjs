// Options on top of those of @jupyter/builder: TypeScript without a separate compile step, and the same bytes from any folder.
module.exports = {
  resolve: {
    extensions: [".ts", ".tsx", ".js"],
  },
  module: {
    rules: [
      {
        test: /\.tsx?$/,
        loader: "builtin:swc-loader",
        options: {
          jsc: {
            parser: { syntax: "typescript", tsx: true },
            target: "es2022",
            transform: { react: { runtime: "automatic", importSource: "preact" } },
          },
        },
        type: "javascript/auto",
      },
    ],
  },
  // By default ids are hashes of absolute paths, so that another folder would give other files.
  optimization: { moduleIds: "natural", chunkIds: "natural" },
};
