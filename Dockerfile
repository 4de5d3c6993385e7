# One image for migrate, api and worker: TypeScript runs as it is; the console alone is built, by npm ci.
FROM node:24-bookworm-slim AS install
WORKDIR /app
COPY package.json package-lock.json tsconfig.json ./
COPY src/console src/console
RUN npm ci --omit=dev

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /app
COPY --from=install /app/node_modules node_modules
COPY --from=install /app/dist dist
COPY package.json .gmrc ./
COPY migrations migrations
COPY scripts scripts
COPY src src
COPY tasks tasks
USER node
EXPOSE 5678
CMD ["node", "--min-semi-space-size=16", "--max-semi-space-size=16", "--initial-old-space-size=64", "--heap-growing-percent=70", "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", "src/api.ts"]
