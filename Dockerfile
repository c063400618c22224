# JWT History in one image: built with the compiler, shipped without it.
# Without MONGODB_URI it runs the embedded engine on the volume /data:
#   docker build -t jwt-history . && docker run --init -p 3000:3000 -v jwt-history-data:/data jwt-history

FROM node:24-trixie-slim AS manifests
WORKDIR /app
COPY package.json package-lock.json .npmrc ./

FROM manifests AS build
RUN --mount=type=cache,target=/root/.npm npm ci
COPY tsconfig.json ./
COPY src src
RUN npm run build && rm -f dist/.tsbuildinfo

# Optional dependencies stay: the embedded engine is one.
FROM manifests AS dependencies
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev

FROM node:24-trixie-slim AS production
LABEL org.opencontainers.image.title="JWT History" \
      org.opencontainers.image.description="Knows every token it has seen and can take any of them back, at once, everywhere." \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production \
    DATA_DIR=/data
# Before VOLUME, so that a new volume takes over owner and mode.
RUN install -d -o node -g node -m 0700 /data
WORKDIR /app
COPY package.json ./
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
USER node
VOLUME ["/data"]
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=45s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:'+(process.env.PORT||3000)+'/readyz',{signal:AbortSignal.timeout(4000)}).then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"]
CMD ["node", "--enable-source-maps", "dist/main.js"]
